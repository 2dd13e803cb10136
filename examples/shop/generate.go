// Package shop is an example: carts as objects of the app shop in two
// versions, and web, the worker that calls them. demo runs all of it.
package shop

//go:generate go run ../../tools/protogen v1
//go:generate go run ../../tools/protogen v2
