package report

import (
	"cmp"
	"io"
	"slices"
	"strings"
)

// The parts of SARIF 2.1.0 that code scanning reads.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool      `json:"tool"`
		ColumnKind string         `json:"columnKind"`
		Results    []sarifResult  `json:"results"`
		Properties map[string]any `json:"properties,omitempty"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string       `json:"id"`
		ShortDescription sarifMessage `json:"shortDescription"`
		HelpURI          string       `json:"helpUri"`
		Help             sarifMessage `json:"help"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID              string             `json:"ruleId"`
		RuleIndex           int                `json:"ruleIndex"`
		Level               string             `json:"level"`
		Kind                string             `json:"kind,omitempty"`
		Message             sarifMessage       `json:"message"`
		Locations           []sarifLocation    `json:"locations,omitempty"`
		RelatedLocations    []sarifLocation    `json:"relatedLocations,omitempty"`
		PartialFingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions        []sarifSuppression `json:"suppressions,omitempty"`
		Properties          map[string]any     `json:"properties"`
	}
	sarifLocation struct {
		ID               *int                   `json:"id,omitempty"`
		PhysicalLocation *sarifPhysicalLocation `json:"physicalLocation,omitempty"`
		LogicalLocations []sarifLogicalLocation `json:"logicalLocations,omitempty"`
		Message          *sarifMessage          `json:"message,omitempty"`
	}
	sarifPhysicalLocation struct {
		ArtifactLocation sarifArtifact `json:"artifactLocation"`
		Region           *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
	sarifLogicalLocation struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
)

const home = "https://github.com/skewgate/skewgate"

// SARIF writes SARIF 2.1.0 for code scanning. Findings outside of the window
// are left out: they are no problem of this change. What is harmless is in it
// when opts.Verbose: code scanning makes an alert of each result, and takes at
// most 25,000.
func SARIF(w io.Writer, r *Report, opts Options) error {
	run := sarifRun{
		Tool:       sarifTool{Driver: sarifDriver{Name: "skewgate compat", Version: opts.Version, InformationURI: home, Rules: []sarifRule{}}},
		ColumnKind: "unicodeCodePoints",
		Results:    []sarifResult{},
		Properties: map[string]any{"verdict": r.Verdict, "order": r.Order, "rollback": r.Rollback, "window": r.Window},
	}
	index := make(map[string]int)
	for _, c := range changes(r) {
		if !c.InWindow || c.harmless() && !opts.Verbose {
			continue
		}
		if _, ok := index[c.Rule]; !ok {
			index[c.Rule] = len(run.Tool.Driver.Rules)
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
				ID: c.Rule, ShortDescription: sarifMessage{cmp.Or(c.Title, ruleWords(c.Rule))},
				HelpURI: RuleURI(c.Rule),
				Help:    sarifMessage{"How to change it safely: " + RuleURI(c.Rule) + " or, on a terminal, skewgate compat explain " + c.Rule},
			})
		}
		run.Results = append(run.Results, sarifResultOf(c, index[c.Rule]))
	}
	return JSON(w, sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

// RuleURI is where a rule is explained: its heading in docs/compat-rules.md,
// under the anchor that GitHub gives it. Rule ids never change meaning, so the
// newest page is right for every version.
func RuleURI(rule string) string {
	return home + "/blob/main/docs/compat-rules.md#" + strings.ToLower(rule)
}

func ruleWords(id string) string {
	return strings.ToLower(strings.ReplaceAll(id, "_", " "))
}

func sarifResultOf(c *change, rule int) sarifResult {
	level := c.Severity
	if !slices.Contains([]string{"error", "warning"}, level) {
		level = "note"
	}
	x := sarifResult{
		RuleID: c.Rule, RuleIndex: rule, Level: level,
		Message:             sarifMessage{c.sentence()},
		PartialFingerprints: map[string]string{"skewgate/v1": fingerprint(&c.Finding)},
		Properties: map[string]any{"class": c.Class, "leg": c.Leg, "writer": c.Writer, "reader": c.Reader,
			"effect": c.Effect, "encodings": c.encodings, "reached": c.Reached},
	}
	x.Locations = []sarifLocation{sarifLocationOf(c.at(), c.Path)}
	if c.New != nil && c.Old != nil {
		old := sarifLocationOf(c.Old, c.Path)
		zero := 0
		old.ID, old.Message = &zero, &sarifMessage{"the old declaration"}
		x.RelatedLocations = []sarifLocation{old}
	}
	if c.Waived {
		x.Suppressions = []sarifSuppression{{Kind: "external", Justification: c.Reason}}
	}
	return x
}

func sarifLocationOf(at *Place, path string) sarifLocation {
	l := sarifLocation{LogicalLocations: []sarifLogicalLocation{{FullyQualifiedName: path}}}
	if at == nil {
		return l
	}
	l.PhysicalLocation = &sarifPhysicalLocation{ArtifactLocation: sarifArtifact{URI: uriPath(at.File)}}
	if at.Line > 0 {
		l.PhysicalLocation.Region = &sarifRegion{StartLine: at.Line, StartColumn: max(at.Column, 1)}
	}
	return l
}

// uriPath makes a file name a URI reference (RFC 3986, section 4.2).
func uriPath(file string) string {
	var b strings.Builder
	file = strings.ReplaceAll(file, `\`, "/")
	if strings.HasPrefix(file, "//") {
		b.WriteString("/.") // what follows two slashes would be a host
	}
	for _, c := range []byte(file) {
		if c == '/' || c == '-' || c == '_' || c == '.' || c == '~' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15])))
	}
	return b.String()
}
