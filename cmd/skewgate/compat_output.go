package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skewgate/skewgate/compat/report"
	"github.com/skewgate/skewgate/schema"
)

// compatOutput is how a report is written: one format to stdout, any number
// to files.
type compatOutput struct {
	formats []string
	failOn  string
	verbose bool
}

func (o *compatOutput) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.formats, "format", nil, "FORMAT or FORMAT=FILE; repeatable; "+strings.Join(report.Formats, ", ")+" (default text)")
	f.StringVar(&o.failOn, "fail-on", "", "exit with 1 from this severity on: "+strings.Join(schema.FailOns, " or ")+" (default: the new side's manifest's, else error)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "also list what is harmless")
}

// destination is one format and where it goes; no file is stdout.
type destination struct{ format, file string }

func (o *compatOutput) destinations() ([]destination, error) {
	formats := o.formats
	if len(formats) == 0 {
		formats = []string{"text"}
	}
	var out []destination
	toStdout := ""
	for _, f := range formats {
		name, file, hasFile := strings.Cut(f, "=")
		if !slices.Contains(report.Formats, name) {
			return nil, fmt.Errorf("--format %q is unknown\n    → use %s", name, strings.Join(report.Formats, ", "))
		}
		if hasFile && file == "" {
			return nil, fmt.Errorf("--format %s= names no file", name)
		}
		if !hasFile {
			if toStdout != "" {
				return nil, fmt.Errorf("--format %s and --format %s both go to standard output\n    → give one a file: --format %s=FILE", toStdout, name, name)
			}
			toStdout = name
		}
		out = append(out, destination{name, file})
	}
	return out, nil
}

// write renders every format before it writes any, and ends with the exit
// status of the verdict. m is the new side's manifest.
func (o *compatOutput) write(env *Env, r *report.Report, m *schema.Manifest) error {
	destinations, err := o.destinations()
	if err != nil {
		return err
	}
	failOn := o.failOn
	if failOn == "" {
		failOn = "error"
		if m != nil && m.Compat.FailOn != "" {
			failOn = m.Compat.FailOn
		}
	}
	if !slices.Contains(schema.FailOns, failOn) {
		return fmt.Errorf("--fail-on %q: use %s", failOn, strings.Join(schema.FailOns, " or "))
	}
	rendered := make([]bytes.Buffer, len(destinations))
	for i, d := range destinations {
		opts := report.Options{
			Colour:  d.file == "" && d.format == "text" && colourful(env),
			Verbose: o.verbose, FailOn: failOn, Version: buildVersion(),
		}
		if err := report.Render(&rendered[i], d.format, r, opts); err != nil {
			return err
		}
	}
	for i, d := range destinations {
		if d.file == "" {
			_, err = env.Stdout.Write(rendered[i].Bytes())
		} else {
			err = os.WriteFile(d.file, rendered[i].Bytes(), 0o644)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", d.format, err)
		}
	}
	if r.Fails(failOn) {
		return exitError{code: exitNo}
	}
	return nil
}
