package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

// Exit codes (architecture.md §6).
const (
	exitOK      = 0 // yes, clean
	exitNo      = 1 // no, findings, unhealthy
	exitUsage   = 2 // usage, configuration, input or I/O
	exitUnknown = 3 // not enough is known to answer
)

// Env is what a command may use of the outside world.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Logger         *slog.Logger // to Stderr, by --log-format and --log-level; set before a command runs

	logFormat, logLevel string
	logged              func(*slog.Logger) // is told of Logger; nil
}

func newEnv(stdin io.Reader, stdout, stderr io.Writer) *Env {
	return &Env{Stdin: stdin, Stdout: stdout, Stderr: stderr, Getenv: os.Getenv, Logger: slog.New(slog.NewTextHandler(stderr, nil))}
}

// exitError ends the process with a code of its own. A nil err prints nothing:
// the command has already said on stdout why the answer is no.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return newEnv(stdin, stdout, stderr).run(ctx, args)
}

func (e *Env) run(ctx context.Context, args []string) int {
	root := newRootCommand(e)
	root.SetArgs(args)
	root.SetIn(e.Stdin)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	return exitCode(root.ExecuteContext(ctx), e.Stderr)
}

// exitCode says what a command's error means and prints it.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	var exit exitError
	if errors.As(err, &exit) {
		if exit.err != nil {
			fmt.Fprintln(stderr, "skewgate: "+plainText(exit.err.Error()))
		}
		return exit.code
	}
	fmt.Fprintln(stderr, "skewgate: "+plainText(err.Error()))
	return exitUsage
}

// plainText keeps words of others (names of files, what a server answered) from
// moving the terminal's cursor, and from being commands to a CI that reads its
// own log: there they are lines that begin with :: or ##[.
func plainText(s string) string {
	lines := strings.Split(strings.ToValidUTF8(s, "\uFFFD"), "\n")
	for i, line := range lines {
		line = strings.Map(func(r rune) rune {
			if r != '\t' && unicode.IsControl(r) {
				return unicode.ReplacementChar
			}
			return r
		}, line)
		if start := strings.TrimSpace(line); i > 0 && (strings.HasPrefix(start, "::") || strings.HasPrefix(start, "##[")) {
			line = "| " + line
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}

func newRootCommand(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "skewgate",
		Short: "a version-compatibility gateway for stateful objects",
		Long: "skewgate pins every stateful object to one host of one version, proves in CI which\n" +
			"versions may meet, rolls out by object, and answers live who talks to whom.",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return env.setLogger()
		},
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.PersistentFlags().StringVar(&env.logFormat, "log-format", "text", "text or json, on stderr")
	root.PersistentFlags().StringVar(&env.logLevel, "log-level", "info", "debug, info, warn or error")
	root.AddCommand(commands(env)...)
	requireSubcommand(root)
	return root
}

// requireSubcommand makes a group without a verb, or with an unknown one, an
// error with a hint: cobra prints help and succeeds, which hides a typo in CI.
func requireSubcommand(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		requireSubcommand(sub)
	}
	if !cmd.HasSubCommands() || cmd.Runnable() {
		return
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		msg := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
		if s := c.SuggestionsFor(args[0]); len(s) > 0 {
			msg += "; did you mean " + strings.Join(s, " or ") + "?"
		}
		return fmt.Errorf("%s\n    → %s --help lists the commands", msg, c.CommandPath())
	}
}

func (e *Env) setLogger() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(e.logLevel)); err != nil {
		return fmt.Errorf("--log-level %q: use debug, info, warn or error", e.logLevel)
	}
	opts := &slog.HandlerOptions{Level: level}
	switch e.logFormat {
	case "text":
		e.Logger = slog.New(slog.NewTextHandler(e.Stderr, opts))
	case "json":
		e.Logger = slog.New(slog.NewJSONHandler(e.Stderr, opts))
	default:
		return fmt.Errorf("--log-format %q: use text or json", e.logFormat)
	}
	if e.logged != nil {
		e.logged(e.Logger)
	}
	return nil
}
