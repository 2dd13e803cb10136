package problem_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skewgate/skewgate/problem"
)

type day time.Time

func (d *day) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return fmt.Errorf("want a day such as 2027-03-01, not %q", text)
	}
	*d = day(t)
	return nil
}

type stateList struct {
	opaque bool
	list   []string
}

func (s *stateList) UnmarshalYAML(decode func(any) error) error {
	var word string
	if decode(&word) == nil {
		if word != "opaque" {
			return fmt.Errorf("want opaque or a list, not %q", word)
		}
		s.opaque = true
		return nil
	}
	return decode(&s.list)
}

type config struct {
	Store struct {
		URL      string `yaml:"url"`
		Replicas int    `yaml:"replicas"`
		Wait     time.Duration
	} `yaml:"store"`
	Classes map[string]class `yaml:"classes"`
	On      *bool            `yaml:"on"`
	Weight  float64          `yaml:"weight"`
	Waivers []waiver         `yaml:"waivers"`
}

type class struct {
	App   string    `yaml:"app"`
	State stateList `yaml:"state"`
}

type waiver struct {
	Rule string `yaml:"rule"`
	Till day    `yaml:"till"`
	Line int    `yaml:",line"`
}

func TestDecodeYAMLReadsEveryForm(t *testing.T) {
	var c config
	err := problem.DecodeYAML("mesh.yaml", []byte(`# a comment
store: {url: "redis://h:1", replicas: 2, wait: 15s}
classes:
  Cart: &cart {app: 1.10, state: opaque}
  Room:
    app: chat
    state: [a.B, c.D]
  Copy: *cart
on: true
weight: 1
waivers:
- rule: X
  till: 2027-03-01
-
  rule: Y
`), &c)
	if err != nil {
		t.Fatal(err)
	}
	if c.Store.URL != "redis://h:1" || c.Store.Replicas != 2 || c.Store.Wait != 15*time.Second {
		t.Errorf("store: %+v", c.Store)
	}
	if c.Classes["Cart"].App != "1.10" || !c.Classes["Cart"].State.opaque || !c.Classes["Copy"].State.opaque {
		t.Errorf("Cart: %+v", c.Classes)
	}
	if got := c.Classes["Room"].State.list; len(got) != 2 || got[1] != "c.D" {
		t.Errorf("Room's state: %v", got)
	}
	if c.On == nil || !*c.On || c.Weight != 1 {
		t.Errorf("on, weight: %v, %v", c.On, c.Weight)
	}
	if len(c.Waivers) != 2 || c.Waivers[0].Line != 12 || c.Waivers[1].Line != 15 || time.Time(c.Waivers[0].Till).Year() != 2027 {
		t.Errorf("waivers: %+v", c.Waivers)
	}
}

func TestDecodeYAMLReportsEveryProblemWithItsPlace(t *testing.T) {
	var c config
	err := problem.DecodeYAML("mesh.yaml", []byte(`store:
  ulr: x
  replicas: many
  wait: 15
classes:
  Cart: {app: true, state: transparent}
  Cart: {app: x}
  Room: [a]
on: yes
waivers:
- {rule: [x], till: tomorrow}
`), &c)
	want := []string{
		`mesh.yaml:2:3: unknown key "ulr" in store` + "\n    → did you mean \"url\"?",
		`mesh.yaml:3:13: want a whole number, not "many"`,
		`mesh.yaml:4:9: want a duration such as 15s, not "15"`,
		`mesh.yaml:7:3: key "Cart" is given twice` + "\n    → it stands at line 6 already",
		`mesh.yaml:6:15: want text, not true or false` + "\n    → write \"true\", with the quotes, if the text is meant",
		`mesh.yaml:6:28: want opaque or a list, not "transparent"`,
		`mesh.yaml:8:9: want keys and values, not a list`,
		`mesh.yaml:9:5: want true or false, not "yes"`,
		`mesh.yaml:11:10: want text, not a list`,
		`mesh.yaml:11:21: want a day such as 2027-03-01, not "tomorrow"`,
	}
	var list problem.List
	if !errors.As(err, &list) {
		t.Fatalf("error is %T: %v", err, err)
	}
	for i, p := range list {
		if i >= len(want) || p.String() != want[i] {
			t.Errorf("problem %d: %s", i, p)
		}
	}
	if len(list) != len(want) {
		t.Errorf("%d problems, want %d", len(list), len(want))
	}
}

func TestDecodeYAMLRefusesWhatNoPersonWrites(t *testing.T) {
	bomb := "classes: {a: &a {app: x}}\nwaivers: []\nstore: &b [*a, *a]\n"
	rows := map[string]struct{ text, want string }{
		"deep flow":     {strings.Repeat("[", 100_000), "nested more than 64 deep"},
		"deep block":    {strings.Repeat("- ", 100_000), "nested more than 64 deep"},
		"deep indent":   {strings.Repeat(" ", 4000) + "a: b", "indented by"},
		"two documents": {"on: true\n---\non: false\n", "second YAML document"},
		"tab":           {"store:\n\turl: x\n", ":2:1: a tab in the indentation"},
		"NUL":           {"on: \x00", "NUL byte"},
		"large":         {strings.Repeat("#", 2<<20), "at most 1048576"},
		"syntax":        {"store: {url: [}\n", "mesh.yaml:1:"},
		"no anchor":     {"on: *nope\n", "no anchor"},
		"wrong kind":    {bomb, ":3:11: want keys and values, not a list"},
		"scalar":        {"hello", "want keys and values, not text"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var c config
			err := problem.DecodeYAML("mesh.yaml", []byte(row.text), &c)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want %q", err, row.want)
			}
		})
	}
}

func TestDecodeYAMLOfNothingIsNothing(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "---\n", "store:\nclasses:\n"} {
		var c config
		if err := problem.DecodeYAML("mesh.yaml", []byte(text), &c); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPlacesFindTheNearestKey(t *testing.T) {
	var c config
	places, err := problem.DecodeYAMLPlaces("m.yaml", []byte("classes:\n  Cart:\n    app: x\nwaivers:\n- rule: a\n"), &c)
	if err != nil {
		t.Fatal(err)
	}
	for want, path := range map[string][]string{
		"m.yaml:3:5: bad": {"classes", "Cart", "app"},
		"m.yaml:2:3: bad": {"classes", "Cart", "state"},
		"m.yaml:5:3: bad": {"waivers", "0"},
		"m.yaml: bad":     {"store"},
	} {
		if got := places.At("bad", "", path...).String(); got != want {
			t.Errorf("%v: %s, want %s", path, got, want)
		}
	}
	if !places.Has("classes", "Cart") || places.Has("classes", "Room") {
		t.Error("Has does not tell Cart from Room")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"services", "state", "encodings", "failOn"}
	for name, want := range map[string]string{
		"service": "services", "sate": "state", "fail_on": "failOn", "encodnigs": "encodings", "xyz": "", "": "",
	} {
		if got := problem.Nearest(name, known); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func FuzzDecodeYAML(f *testing.F) {
	f.Add("store: {url: x}\nclasses:\n  Cart: {app: a, state: [x]}\n")
	f.Add("a: &a [*a]\nb: *a\n? x\n: - - -\n")
	f.Add("store: !!map {<<: {url: x}}\nwaivers:\n- till: |\n   x\n")
	f.Fuzz(func(t *testing.T, text string) {
		var c config
		err := problem.DecodeYAML("f.yaml", []byte(text), &c)
		var list problem.List
		if err != nil && !errors.As(err, &list) {
			t.Fatalf("error is no list: %T %v", err, err)
		}
	})
}
