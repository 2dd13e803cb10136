package admin

import (
	"net/http"
	"strconv"
	"time"
)

// limitOf reads ?limit=, 1 to 10000.
func limitOf(r *http.Request, def int) (int, error) {
	s := r.URL.Query().Get("limit")
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 10_000 {
		return 0, badRequest("limit=%q: use a number from 1 to 10000", s)
	}
	return n, nil
}

// dryRunOf reads ?dryRun=, true or false.
func dryRunOf(r *http.Request) (bool, error) {
	s := r.URL.Query().Get("dryRun")
	if s == "" {
		return false, nil
	}
	dry, err := strconv.ParseBool(s)
	if err != nil {
		return false, badRequest("dryRun=%q: use true or false", s)
	}
	return dry, nil
}

// sinceOf reads ?since=, a duration.
func sinceOf(r *http.Request, def time.Duration) (time.Duration, error) {
	s := r.URL.Query().Get("since")
	if s == "" {
		return def, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, badRequest("since=%q: use a duration such as 5m or 24h", s)
	}
	return d, nil
}
