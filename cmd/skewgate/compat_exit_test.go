package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	exitBefore = `syntax = "proto3"; package a; service S { rpc Do(M) returns (M); } message M { string s = 1; }`
	exitAdded  = `syntax = "proto3"; package a; service S { rpc Do(M) returns (M); } message M { string s = 1; string t = 2; }`
	exitMoved  = `syntax = "proto3"; package a; service S { rpc Do(M) returns (M); } message M { string s = 2; }`
	exitBroken = "syntax = \"proto3\"; package a;\nmessage M { string = 1; }\nservice S { rpc Do(M) returns (M); }"
)

// stubRegistry answers as a mesh does that knows of shop@v1, and as other
// things that may stand at the address of one.
func stubRegistry(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch app := strings.Split(r.URL.Path, "/")[3]; app {
		case "shop":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"code":"not_found","status":404,"detail":"the registry has no such version"}`)
		case "another":
			fmt.Fprint(w, `{"app":"shop","version":"v9"}`)
		case "proxy":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<html>\n::error::no such site")
		case "damaged":
			fmt.Fprint(w, `{"app":"damaged","version":"v1","descriptorSet":"CgUKA2EuYg==","digest":"sha256:0"}`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestCompatExitStatus: one row for each way that a check can end.
func TestCompatExitStatus(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"before/a.proto": exitBefore, "added/a.proto": exitAdded, "moved/a.proto": exitMoved, "broken/a.proto": exitBroken,
		"imports/a.proto":                      "syntax = \"proto3\";\nimport \"x/y.proto\";\npackage a;\nservice S { rpc Do(M) returns (M); } message M { x.Y y = 2; }",
		"evil/x\n::error::pwned\x1b[31m.proto": exitBroken,
		"one.proto":                            exitBefore,
		"waiver.yaml":                          "apiVersion: skewgate/v1\nkind: App\napp: shop\ncompat: {waivers: [{rule: FIELD_RENUMBERED, path: a.M.s, reason: nobody sends it, expires: 2999-01-01}]}\n",
	} {
		writeFile(t, filepath.Join(dir, name), text)
	}
	t.Chdir(dir)
	registry := stubRegistry(t)
	for args, want := range map[string]struct {
		code int
		says []string // on either stream
	}{
		"--old before --new before":                                      {exitOK, []string{"COMPATIBLE  any order"}},
		"--old before --new added":                                       {exitOK, []string{"COMPATIBLE"}},
		"--old before --new added --fail-on warning":                     {exitNo, []string{"COMPATIBLE", "1 warning"}},
		"--old before --new added --fail-on warning --window mixed":      {exitNo, []string{"FIELD_ADDED"}},
		"--old before --new moved":                                       {exitNo, []string{"INCOMPATIBLE", "FIELD_RENUMBERED"}},
		"--old before --new moved --manifest waiver.yaml --window mixed": {exitOK, []string{"waived"}},
		"--old before --new broken":                                      {exitUsage, []string{"broken/a.proto:2:13: "}},
		"--old before --new imports":                                     {exitUsage, []string{`imports/a.proto:2:8: import "x/y.proto" is not found`}},
		"--old before --new one.proto":                                   {exitUsage, []string{"is one .proto file"}},
		"--old before --new nowhere":                                     {exitUsage, []string{"nowhere: no such file"}},
		"--old before --new befor":                                       {exitUsage, []string{"did you mean before?"}},
		"--old before":                                                   {exitUsage, []string{"--old and --new are needed"}},
		"--old - --new -":                                                {exitUsage, []string{"only one of --old and --new"}},
		"--old - --new before":                                           {exitUsage, []string{"-: has no files in it"}},
		"--old before --new moved --format wibble":                       {exitUsage, []string{`--format "wibble" is unknown`}},
		"--old before --new moved --format json --format text":           {exitUsage, []string{"both go to standard output"}},
		"--old before --new moved --format json=nowhere/x":               {exitUsage, []string{"nowhere/x"}},
		"--old before --new moved --encoding jsn":                        {exitUsage, []string{"jsn", "json"}},
		"--old before --new moved --window sideways":                     {exitUsage, []string{"sideways", "objects-first"}},
		"--old before --new moved --profile java":                        {exitUsage, []string{"java", "spec"}},
		"--old before --new moved --fail-on never":                       {exitUsage, []string{"never", "warning"}},
		"--old before --new moved --class Crat":                          {exitUsage, []string{`no class "Crat"`}},
		"--old before --new moved --service a.T":                         {exitUsage, []string{"a.T"}},
		"--old before --new moved --state a.T":                           {exitUsage, []string{"a.T"}},
		"--old before --new evil":                                        {exitUsage, []string{"evil/x ::error::pwned\uFFFD[31m.proto:2:13: "}},
		"--old before --new moved --manifest .":                          {exitUsage, []string{"is not a regular file"}},
		"--old before --new shop@v9 --admin http://127.0.0.1:1":          {exitUsage, []string{"shop@v9", "→ is skewgate serve running there?"}},
		"--old before --new shop@v9 --admin " + registry:                 {exitUnknown, []string{"shop@v9", "→ skewgate schema list"}},
		"--old before --new another@v1 --admin " + registry:              {exitUsage, []string{`answered with "shop"@"v9"`, "→ is that the admin API"}},
		"--old before --new proxy@v1 --admin " + registry:                {exitUsage, []string{`404 Not Found: "<html>\n::error::no such site"`}},
		"--old before --new damaged@v1 --admin " + registry:              {exitUsage, []string{"damaged@v1: is not what was pushed"}},
		"--old before --new before --proto-path nowhere":                 {exitUsage, []string{"nowhere", "cannot be opened"}},
		"--old before,prefx=a --new before":                              {exitUsage, []string{`unknown option "prefx"`, `did you mean "prefix"?`}},
		"--old https://example.com/x.git#tag=v1 --new before":            {exitUsage, []string{"remote repositories are not read"}},
	} {
		t.Run(args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"compat", "check"}, strings.Fields(args)...), strings.NewReader(""), &stdout, &stderr)
			if code != want.code {
				t.Errorf("exit %d, want %d\n%s%s", code, want.code, stdout.String(), stderr.String())
			}
			for _, words := range want.says {
				if !strings.Contains(stdout.String()+stderr.String(), words) {
					t.Errorf("%q is not said:\n%s%s", words, stdout.String(), stderr.String())
				}
			}
			if code >= exitUsage && stdout.Len() > 0 {
				t.Errorf("an error writes a report: %q", stdout.String())
			}
			if strings.Contains(stderr.String(), "\n::") || strings.Contains(stderr.String(), "\x1b") {
				t.Errorf("words of others are commands in a log: %q", stderr.String())
			}
		})
	}
}

// Several formats of one run, of which one is standard output.
func TestSeveralFormatsOfOneRun(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "old/a.proto"), exitBefore)
	writeFile(t, filepath.Join(dir, "new/a.proto"), exitMoved)
	t.Chdir(dir)
	args := []string{"compat", "check", "--old", "old", "--new", "new", "--format", "json"}
	for _, f := range []string{"text", "sarif", "junit", "github", "gitlab", "markdown"} {
		args = append(args, "--format", f+"=out."+f)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != exitNo || stderr.Len() > 0 {
		t.Fatalf("exit %d %s", code, stderr.String())
	}
	if !json.Valid(stdout.Bytes()) {
		t.Errorf("standard output is not the JSON alone: %s", stdout.String())
	}
	for _, f := range []string{"text", "sarif", "junit", "github", "gitlab", "markdown"} {
		data, err := os.ReadFile("out." + f)
		if err != nil || !bytes.Contains(data, []byte("FIELD_RENUMBERED")) || bytes.Contains(data, []byte("\x1b")) {
			t.Errorf("%s: %v %q", f, err, data)
		}
	}
}

// Words of others in errors that are no problem.List are made harmless, too.
func TestPlainText(t *testing.T) {
	got := plainText("read a\n::error::b\n  ##[error]c\x1b[31m\xff\n    → do it")
	want := "read a\n| ::error::b\n|   ##[error]c\uFFFD[31m\uFFFD\n    → do it"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
