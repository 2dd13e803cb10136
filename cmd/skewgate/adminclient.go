package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/admin"
)

// defaultAdmin is where serve has its admin API unless told otherwise.
const defaultAdmin = "http://127.0.0.1:8081"

// api is how a command reaches the admin API: flag, then environment, then default.
type api struct {
	env       *Env
	url       string
	tokenFile string
}

// bind adds --admin and --token-file to a command and those below it.
func (a *api) bind(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&a.url, "admin", "", "URL of the admin API; SKEWGATE_ADMIN, else "+defaultAdmin)
	f.StringVar(&a.tokenFile, "token-file", "", "file with the API's bearer token; SKEWGATE_ADMIN_TOKEN_FILE, or the token itself in SKEWGATE_ADMIN_TOKEN")
}

// client makes a client of what the flags and the environment say.
func (a *api) client() (*admin.Client, error) {
	c := &admin.Client{URL: defaultAdmin, Token: a.env.Getenv("SKEWGATE_ADMIN_TOKEN"), By: who(a.env)}
	if u := a.env.Getenv("SKEWGATE_ADMIN"); u != "" {
		c.URL = u
	}
	if a.url != "" {
		c.URL = a.url
	}
	if !strings.Contains(c.URL, "://") {
		c.URL = "http://" + c.URL
	}
	file := a.tokenFile
	if file == "" {
		file = a.env.Getenv("SKEWGATE_ADMIN_TOKEN_FILE")
	}
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read token: %w", err)
		}
		c.Token = strings.TrimSpace(string(b))
	}
	return c, nil
}

// who asks, for histories and the audit list.
func who(env *Env) string {
	if by := env.Getenv("SKEWGATE_BY"); by != "" {
		return by
	}
	name := env.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// apiError gives an error of the API its exit code and a hint.
func apiError(err error) error {
	var e *admin.Error
	switch {
	case errors.As(err, &e) && e.Unknown:
		return exitError{exitUnknown, err}
	case errors.As(err, &e) && (e.Refused() || e.Status == http.StatusConflict):
		return exitError{exitNo, err}
	case errors.Is(err, admin.ErrUnreachable):
		return fmt.Errorf("%w\n    → is skewgate serve running there? --admin URL or SKEWGATE_ADMIN says where", err)
	}
	return err
}
