package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/admin"
	"github.com/skewgate/skewgate/rollout/skew"
)

func newCanICommand(env *Env) *cobra.Command {
	api, out := &api{env: env}, &output{}
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "can-i promote|finish|rollback|remove APP VERSION",
		Short: "ask whether something may be done with a version",
		Long: "can-i answers from what was observed: traffic, sessions, pins, and the matrix of the registry.\n\n" +
			"  promote   take the next step of the rollout to VERSION\n" +
			"  finish    be done: everything runs VERSION, the other versions may be stopped\n" +
			"  rollback  run VERSION again in place of what runs now\n" +
			"  remove    stop the last host, or the last worker, of VERSION\n\n" +
			"Exit status: 0 yes, 1 no, 3 unknown (too little is known; never counted as yes).",
		Example: "  skewgate can-i finish shop v42\n  skewgate can-i remove web v41 --since 48h",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 3 {
				return fmt.Errorf("can-i needs a question, an app and a version\n    → skewgate can-i finish shop v42")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := api.client()
			if err != nil {
				return err
			}
			var last admin.CanI
			err = show(cmd.Context(), env, out, func(ctx context.Context) (admin.CanI, error) {
				last, err = c.CanI(ctx, skew.Question(args[0]), args[1], args[2], since)
				return last, err
			}, canITable)
			if err != nil {
				return err
			}
			switch last.Answer {
			case "yes":
				return nil
			case "no":
				return exitError{code: exitNo}
			}
			return exitError{code: exitUnknown}
		},
	}
	api.bind(cmd)
	out.bind(cmd, true)
	cmd.Flags().DurationVar(&since, "since", 24*time.Hour, "what was seen in this time counts")
	return cmd
}

func canITable(p *page, d admin.CanI) {
	answer, colour := strings.ToUpper(d.Answer), map[string]string{"yes": green, "no": red}[d.Answer]
	if colour == "" {
		colour = yellow
	}
	line := p.paint(colour, answer)
	switch n := len(d.Reasons); n {
	case 0:
	case 1:
		line += "  1 reason"
	default:
		line += fmt.Sprintf("  %d reasons", n)
	}
	p.line("%s", line)
	for i, r := range d.Reasons {
		mark := ""
		if r.Unknown && d.Answer == "no" {
			mark = "(unknown) "
		}
		p.line(" %d %s%s", i+1, mark, r.Message)
		if r.Next != "" {
			p.line("     → %s", r.Next)
		}
	}
	e := d.Evidence
	p.line("evidence: %d/%d gateways, window %s, view age %s", e.Seen, e.Expected, age(e.At.Sub(e.From)), age(time.Duration(e.Age)))
}
