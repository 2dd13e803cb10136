package compat_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/skewgate/skewgate/compat"
	"github.com/skewgate/skewgate/schema"
)

const (
	readers    = "testdata/crossruntime"
	runtimeDir = "../.tools/runtimes"
)

// refused begins the answer of a reader that does not take the bytes.
const refused = "refused: "

// A runtime is an implementation of protobuf that shares no code with ours.
var runtimes = []struct {
	name    string
	command func(dir string) *exec.Cmd
}{
	{"es", func(dir string) *exec.Cmd {
		return exec.Command("node", filepath.Join(readers, "reader.mjs"), dir)
	}},
	{"python", func(dir string) *exec.Cmd {
		cmd := exec.Command("python3", filepath.Join(readers, "reader.py"))
		cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(dir, "python"), "PYTHONDONTWRITEBYTECODE=1")
		return cmd
	}},
}

// exchange is one message with where it comes from and our answer.
type exchange struct {
	compat.Exchange
	fixture string // RULE/case
	ours    string
}

// id names an exchange for as long as its fixture and its bytes stay.
func (x *exchange) id() string {
	way := "old→new"
	if x.Writer == 1 {
		way = "new→old"
	}
	return x.fixture + " " + way + " " + string(x.Encoding)
}

// TestOtherRuntimesAgree decodes every witness of every fixture, and a message
// for each sample value of each of their fields, with protobuf-es and with
// Python's protobuf: they must refuse what our reader of profile spec refuses,
// and read what it reads, to the last unknown byte. Where one of them is known
// not to conform, known.txt says so, with the source.
func TestOtherRuntimesAgree(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs(runtimeDir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "VERSION")); err != nil {
		t.Fatalf("protobuf-es and Python's protobuf are not at .tools/runtimes\n    → tools/runtimes.sh installs them (make test does)")
	}
	all, script := exchanges(t)
	witnesses := 0
	for _, x := range all {
		if x.Rule != "" {
			witnesses++
		}
	}
	t.Logf("%d exchanges, %d of them witnesses", len(all), witnesses)
	for _, runtime := range runtimes {
		t.Run(runtime.name, func(t *testing.T) {
			t.Parallel()
			theirs := ask(t, runtime.command(dir), script)
			if len(theirs) != len(all) {
				t.Fatalf("%d answers to %d exchanges", len(theirs), len(all))
			}
			for _, wrong := range disagree(runtime.name, all, theirs, readKnown(t, runtime.name)) {
				t.Error(wrong)
			}
		})
	}
}

// exchanges collects what is to be read, and the script that asks a runtime.
func exchanges(t *testing.T) ([]*exchange, []byte) {
	t.Helper()
	var all []*exchange
	var script bytes.Buffer
	e := json.NewEncoder(&script)
	for _, rule := range fixtureRules(t) {
		for _, w := range readWanted(t, rule) {
			if w.profile != compat.Spec {
				continue
			}
			sides := []*schema.Set{fixtureSet(t, rule, "old", w.name), fixtureSet(t, rule, "new", w.name)}
			opts := compat.Options{AllMessages: true, Encodings: encodings}
			found, err := compat.Exchanges(context.Background(), sides[0], sides[1], opts)
			if err != nil {
				t.Fatal(err)
			}
			fixture := rule + "/" + w.name
			for i, set := range sides {
				line := map[string]string{"schema": fixture + strconv.Itoa(i), "set": descriptorSet(t, set)}
				if err := e.Encode(line); err != nil {
					t.Fatal(err)
				}
			}
			seen := make(map[string]bool)
			for _, x := range found {
				key := fmt.Sprint(x.Writer, x.Encoding, x.Into.FullName(), x.Bytes)
				if seen[key] {
					continue
				}
				seen[key] = true
				line := map[string]string{
					"id": strconv.Itoa(len(all)), "schema": fixture + strconv.Itoa(x.Reader), "type": string(x.Into.FullName()),
					"encoding": string(x.Encoding), "bytes": base64.StdEncoding.EncodeToString(x.Bytes),
				}
				if err := e.Encode(line); err != nil {
					t.Fatal(err)
				}
				all = append(all, &exchange{Exchange: x, fixture: fixture, ours: reading(t, x)})
			}
		}
	}
	return all, script.Bytes()
}

// ask runs a runtime over the script: its answer to each exchange.
func ask(t *testing.T, cmd *exec.Cmd, script []byte) []string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(script), &out, &errs
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, errs.String())
	}
	var answers []string
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var answer struct {
			ID    string          `json:"id"`
			Error string          `json:"error"`
			Value json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal(lines.Bytes(), &answer); err != nil {
			t.Fatalf("%s says %q: %v", cmd, lines.Text(), err)
		}
		if answer.ID != strconv.Itoa(len(answers)) {
			t.Fatalf("%s: answer %s where %d is expected", cmd, answer.ID, len(answers))
		}
		if answer.Error != "" {
			answers = append(answers, "refused: "+answer.Error)
			continue
		}
		answers = append(answers, canonical(t, answer.Value))
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return answers
}

// canonical is the one text of a JSON document.
func canonical(t *testing.T, doc any) string {
	t.Helper()
	if raw, ok := doc.(json.RawMessage); ok {
		var parsed any
		if err := json.Unmarshal(raw, &parsed); err != nil {
			t.Fatal(err)
		}
		doc = parsed
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// disagree lists every answer that is not ours and not known, and every known
// one that did not come.
func disagree(runtime string, all []*exchange, theirs []string, known knownRows) []string {
	var wrong []string
	for i, x := range all {
		if strings.HasPrefix(x.ours, refused) && strings.HasPrefix(theirs[i], refused) || x.ours == theirs[i] {
			continue
		}
		if k := known.find(x, theirs[i]); k != nil {
			k.seen++
			continue
		}
		wrong = append(wrong, fmt.Sprintf("%s %s %s\n\twrote  %s\n\tours   %s\n\ttheirs %s\n\t→ correct the rule; or, if it is known that %s does so, give the source in %s: %s",
			x.id(), x.Rule, x.Path, written(x), x.ours, theirs[i], runtime, knownFile, x.id()+" "+deviation(x.ours, theirs[i])))
	}
	for _, k := range known {
		if k.seen == 0 {
			wrong = append(wrong, fmt.Sprintf("%s:%d: %s is known to read this otherwise, and does not: %s", knownFile, k.line, runtime, k.key))
		}
	}
	return wrong
}

func written(x *exchange) string {
	if x.Encoding == compat.Binary {
		return hex.EncodeToString(x.Bytes)
	}
	return string(x.Bytes)
}

// descriptorSet is a schema in base64, what it imports first.
func descriptorSet(t *testing.T, set *schema.Set) string {
	t.Helper()
	var out descriptorpb.FileDescriptorSet
	seen := make(map[string]bool)
	var add func(file protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		out.File = append(out.File, protodesc.ToFileDescriptorProto(file))
	}
	set.Files().RangeFiles(func(file protoreflect.FileDescriptor) bool {
		add(file)
		return true
	})
	data, err := proto.Marshal(&out)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(data)
}

// reading is what we read, in the form that the readers answer in.
func reading(t *testing.T, x compat.Exchange) string {
	if x.Err != nil {
		return refused + x.Err.Error()
	}
	return canonical(t, readMessage(x.Got))
}

func readMessage(m protoreflect.Message) map[string]any {
	fields := make(map[string]any)
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		fields[strconv.Itoa(int(fd.Number()))] = readField(fd, v)
		return true
	})
	return map[string]any{"fields": fields, "unknown": readUnknown(m.GetUnknown())}
}

func readField(fd protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch {
	case fd.IsMap():
		entries := []any{}
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			entries = append(entries, []any{readScalar(fd.MapKey(), k.Value()), readScalar(fd.MapValue(), v)})
			return true
		})
		slices.SortFunc(entries, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		return entries
	case fd.IsList():
		elements := []any{}
		for i := range v.List().Len() {
			elements = append(elements, readScalar(fd, v.List().Get(i)))
		}
		return elements
	default:
		return readScalar(fd, v)
	}
}

func readScalar(fd protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return readMessage(v.Message())
	case protoreflect.EnumKind:
		return strconv.Itoa(int(v.Enum()))
	case protoreflect.StringKind:
		return hex.EncodeToString([]byte(v.String()))
	case protoreflect.BytesKind:
		return hex.EncodeToString(v.Bytes())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		if math.IsNaN(v.Float()) {
			return "nan"
		}
		return fmt.Sprintf("%016x", math.Float64bits(v.Float()))
	default:
		return fmt.Sprint(v.Interface())
	}
}

// readUnknown lists unknown fields, in no order: runtimes keep that of one
// number only.
func readUnknown(b []byte) []string {
	out := []string{}
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		out = append(out, hex.EncodeToString(b[:n]))
		b = b[n:]
	}
	slices.Sort(out)
	return out
}

// TestDisagreementIsSeen is the negative control: an answer that is not ours
// is reported, a known one is not, and a known one that does not come is.
func TestDisagreementIsSeen(t *testing.T) {
	x := &exchange{Exchange: compat.Exchange{Encoding: compat.Binary, Bytes: []byte{8, 1}}, fixture: "RULE/case", ours: `{"1":"1"}`}
	row := func() knownRows { return knownRows{{line: 7, key: "RULE/case old→new binary differs"}} }
	for _, c := range []struct {
		name, theirs string
		known        knownRows
		want         int
	}{
		{"the same", x.ours, nil, 0},
		{"another value", `{"1":"2"}`, nil, 1},
		{"a refusal", refused + "EOF", nil, 1},
		{"another value, known", `{"1":"2"}`, row(), 0},
		{"a refusal where another value is known", refused + "EOF", row(), 2},
		{"the same where another value is known", x.ours, row(), 1},
	} {
		if got := disagree("es", []*exchange{x}, []string{c.theirs}, c.known); len(got) != c.want {
			t.Errorf("%s: %d reports, want %d: %q", c.name, len(got), c.want, got)
		}
	}
}
