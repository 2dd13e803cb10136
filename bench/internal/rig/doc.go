// Package rig is what the programs below bench/ share: real servers to
// measure against, processor time of processes, and rounds in which the
// contenders take turns, so that what else the machine does meets all of them.
package rig
