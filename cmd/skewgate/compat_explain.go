package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/problem"
)

func newCompatExplainCommand(env *Env) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "explain [RULE]",
		Short: "explain a rule with an example that runs; without RULE, list the rules",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, r := range compat.Rules() {
					fmt.Fprintf(env.Stdout, "%-34s %s\n", r.ID, r.Title)
				}
				return nil
			}
			x, err := compat.Explain(cmd.Context(), strings.ToUpper(args[0]))
			if err != nil {
				return unknownRule(args[0], err)
			}
			if dir != "" {
				if err := writeExample(dir, x); err != nil {
					return err
				}
			}
			fmt.Fprint(env.Stdout, x.Text(dir))
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "write", "", "write the example's two versions to DIR/old and DIR/new")
	return cmd
}

func unknownRule(name string, err error) error {
	var ids []string
	for _, r := range compat.Rules() {
		ids = append(ids, r.ID)
	}
	if near := problem.Nearest(strings.ToUpper(name), ids); near != "" {
		return fmt.Errorf("%w\n    → did you mean %s?", err, near)
	}
	return fmt.Errorf("%w\n    → skewgate compat explain lists the rules", err)
}

func writeExample(dir string, x *compat.Explanation) error {
	for side, body := range map[string]string{"old": x.Rule.Example.Old, "new": x.Rule.Example.New} {
		for name, text := range x.Rule.Example.Files(body) {
			at := filepath.Join(dir, side, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				return fmt.Errorf("write example: %w", err)
			}
			if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
				return fmt.Errorf("write example: %w", err)
			}
		}
	}
	return nil
}
