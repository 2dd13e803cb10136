package console

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// answers is an API with something in each part, and a caller that tries to be markup.
var answers = map[string]string{
	"/v1/skew": `{"kind":"Skew","versionsLive":3,"stragglers":["batch@v40"],"evidence":{"at":"2026-11-23T12:00:00Z","from":"2026-11-23T11:00:00Z","since":"2026-11-23T11:00:00Z","age":"1.2s","gatewaysSeen":2,"gatewaysExpected":3,"gatewaysMissing":["gw-3"],"folded":0},
		"lines":[{"caller":"web@v41","class":"Cart","app":"shop","version":"v41","calls":812400,"callsPerSecond":812.4,"objects":8112,"errors":10,"p50":"1.5ms","p99":"41ms","last":"2026-11-23T12:00:00Z","compat":"ok","methods":[]},
		{"caller":"<img src=x onerror=document.title='owned'>","class":"Cart","app":"shop","version":"v42","calls":1,"callsPerSecond":0.3,"objects":1,"errors":0,"p50":"1ms","p99":"1ms","last":"2026-11-23T11:56:00Z","compat":"FAIL","methods":[],"incompatible":[{"method":"/Apply","rule":"METHOD_ADDED"}]}]}`,
	"/v1/rollouts": `{"kind":"RolloutList","items":[{"app":"shop","activity":"baking","assignedPercent":20,"actualPercent":19.8,"elapsed":"14m","converged":false,"record":{"rollout":{"spec":{"to":"v42","steps":[1,5,20,100]},"step":2,"phase":"progressing"}},
		"moves":{"mode":"drain","done":2031,"inFlight":64,"failed":0,"remaining":120,"max":64,"rate":10,"eta":"12s"},"bake":{"for":"10m0s","done":"6m0s","analysis":{"verdict":"passed","reason":"errors 0.03 %"}},"versions":[]}]}`,
	"/v1/hosts":    `{"kind":"HostList","items":[{"name":"h-1","session":"s","addr":"10.0.1.4:8080","app":"shop","version":"v41","classes":["Cart"],"state":"ready","objects":1402,"inFlight":31,"lease":"15s","heartbeat":"400ms"}]}`,
	"/v1/versions": `{"kind":"VersionList","items":[{"app":"shop","version":"v41","state":"active","weight":80,"hosts":6,"objects":8112,"calls":1,"calling":0,"schema":true,"callers":["web@v41"]}]}`,
	"/v1/doctor":   `{"kind":"Doctor","checks":[{"name":"store eviction","ok":true},{"name":"gateways","ok":false,"detail":"2 of 3 report","fix":"can they reach the store?"}],"errors":0,"warnings":1}`,
}

func site(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.Handle("/", Handler())
	for path, body := range answers {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(body))
		})
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

// The page in a real browser: each part shows what the API said, as text.
func TestPageShowsTheMesh(t *testing.T) {
	var browser string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Fatal("no browser is installed: apt-get install chromium")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--virtual-time-budget=5000", "--dump-dom", site(t).URL)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", browser, err)
	}
	dom := string(out)
	for part, want := range map[string]string{
		"skew": "812.4", "objects": "8,112", "evidence": "2/3 gateways · silent: gw-3", "straggler": "batch@v40",
		"grid": `class="cell FAIL"`, "rule": "METHOD_ADDED /Apply", "rollout": "shop → v42", "bake": "6m of 10m", "moves": "64 of 64",
		"host": "10.0.1.4:8080", "version": "web@v41", "doctor": "can they reach the store?", "pulse": "healthy, 1 warning",
	} {
		if !strings.Contains(dom, want) {
			t.Errorf("%s: the page does not show %q", part, want)
		}
	}
	if strings.Contains(dom, "<img src=x") || strings.Contains(dom, "<title>owned") {
		t.Error("a caller's name became markup")
	}
	if !strings.Contains(dom, "&lt;img src=x onerror") {
		t.Error("a caller's name is not shown as it is")
	}
}

func TestPageAsksNobodyElse(t *testing.T) {
	elsewhere := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	err := fs.WalkDir(page, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := page.ReadFile(path)
		if err != nil {
			return err
		}
		for _, u := range elsewhere.FindAllString(string(text), -1) {
			if u != "http://www.w3.org" { // names of XML vocabularies, not addresses
				t.Errorf("%s refers to %s", path, u)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(site(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
}

func TestConsoleIsOnlyRead(t *testing.T) {
	res, err := http.Post(site(t).URL+"/", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("%s", res.Status)
	}
}
