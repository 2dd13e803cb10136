package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
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
	toStdout, toFile := "", make(map[string]string)
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
		if file != "" {
			file = filepath.Clean(file)
		}
		if other := toFile[file]; hasFile && other != "" {
			return nil, fmt.Errorf("--format %s and --format %s both go to %s\n    → give each a file of its own", other, name, file)
		}
		toFile[file] = name
		out = append(out, destination{name, file})
	}
	return out, nil
}

// check refuses what cannot be written, before a check has taken its time.
func (o *compatOutput) check() error {
	destinations, err := o.destinations()
	if err != nil {
		return err
	}
	if o.failOn != "" && !slices.Contains(schema.FailOns, o.failOn) {
		return fmt.Errorf("--fail-on %q: use %s", o.failOn, strings.Join(schema.FailOns, " or "))
	}
	for _, d := range destinations {
		info, err := os.Stat(d.file)
		if d.file == "" || err == nil && !info.Mode().IsRegular() && !info.IsDir() {
			continue // a pipe's reader would take a look for the end
		}
		f, err := openReport(d.file)
		if err != nil {
			return fmt.Errorf("write %s: %w", d.format, err)
		}
		f.discard()
	}
	return nil
}

// write renders every format, opens every file, and only then writes: a file
// that cannot be had leaves nothing half-written. It ends with the exit status
// of the verdict. m is the new side's manifest.
func (o *compatOutput) write(env *Env, r *report.Report, m *schema.Manifest) (err error) {
	destinations, err := o.destinations()
	if err != nil {
		return err
	}
	failOn := cmp.Or(o.failOn, "error")
	if o.failOn == "" && m != nil && m.Compat.FailOn != "" {
		failOn = m.Compat.FailOn
	}
	rendered := make([]bytes.Buffer, len(destinations))
	files := make([]*reportFile, len(destinations))
	defer func() {
		for _, f := range files {
			f.discard() // what was committed is nobody's to discard
		}
	}()
	for i, d := range destinations {
		opts := report.Options{
			Colour:  d.file == "" && d.format == "text" && colourful(env),
			Verbose: o.verbose, FailOn: failOn, Version: buildVersion(),
		}
		if err := report.Render(&rendered[i], d.format, r, opts); err != nil {
			return err
		}
		if d.file == "" {
			continue
		}
		if files[i], err = openReport(d.file); err != nil {
			return fmt.Errorf("write %s: %w", d.format, err)
		}
	}
	for i, d := range destinations {
		if d.file != "" {
			err = files[i].commit(rendered[i].Bytes())
		} else {
			_, err = env.Stdout.Write(rendered[i].Bytes())
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
