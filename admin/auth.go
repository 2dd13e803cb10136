package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// authorized asks for the bearer token, where one is configured.
//
// Without one the API trusts who can reach it. A browser can be made to send
// requests to a loopback address by any page, so those that come from a page of
// another origin are refused, and so are names that are not ours (DNS rebinding).
func (a *api) authorized(next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(a.opt.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.opt.Token == "" {
			if crossOrigin(r) {
				writeProblem(w, &Error{
					Status: http.StatusForbidden, Code: "cross_origin",
					Detail: "a page of another origin may not use this API without a token",
					Next:   "set auth.adminTokenFile in the mesh file and send Authorization: Bearer TOKEN",
				})
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		got := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="skewgate"`)
			writeProblem(w, &Error{
				Status: http.StatusUnauthorized, Code: "unauthorized", Detail: "this API wants a bearer token",
				Next: "--token-file FILE, or SKEWGATE_ADMIN_TOKEN",
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// crossOrigin says that a browser sent r for a page that is not ours.
func crossOrigin(r *http.Request) bool {
	if s := r.Header.Get("Sec-Fetch-Site"); s != "" {
		return s != "same-origin" && s != "none"
	}
	if o := r.Header.Get("Origin"); o != "" {
		return o != "http://"+r.Host && o != "https://"+r.Host
	}
	return false
}
