package wire

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

var now = time.Unix(1_800_000_000, 0)

func TestStampIsBoundToEverything(t *testing.T) {
	s := NewSigner([]byte("secret"))
	stamp := s.Sign("Cart/1", "ab", 7, now)
	if err := s.Verify(stamp, "Cart/1", "ab", 7, now); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"object":        s.Verify(stamp, "Cart/2", "ab", 7, now),
		"session":       s.Verify(stamp, "Cart/1", "ac", 7, now),
		"token":         s.Verify(stamp, "Cart/1", "ab", 8, now),
		"field borders": s.Verify(stamp, "Cart/1a", "b", 7, now),
		"secret":        NewSigner([]byte("Secret")).Verify(stamp, "Cart/1", "ab", 7, now),
		"time forged":   s.Verify(strings.Replace(stamp, "1800000000", "1800000001", 1), "Cart/1", "ab", 7, now),
	} {
		if !errors.Is(err, ErrAuthMAC) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

func TestStampWindow(t *testing.T) {
	s := NewSigner([]byte("secret"))
	for d, want := range map[time.Duration]error{
		0: nil, -60 * time.Second: nil, 60 * time.Second: nil, -61 * time.Second: ErrAuthTime, 61 * time.Second: ErrAuthTime, 24 * time.Hour: ErrAuthTime,
	} {
		if err := s.Verify(s.Sign("Cart/1", "ab", 7, now), "Cart/1", "ab", 7, now.Add(d)); !errors.Is(err, want) {
			t.Errorf("%v later: %v, want %v", d, err, want)
		}
	}
}

func TestMalformedStamps(t *testing.T) {
	s := NewSigner([]byte("secret"))
	good := s.Sign("Cart/1", "ab", 7, now)
	for _, bad := range []string{"", "v1", "v1.", "v1..", "v2" + good[2:], good + "A", good[:len(good)-1], "v1.x." + good[14:], good + ".x", strings.Repeat("A", 1000)} {
		if err := s.Verify(bad, "Cart/1", "ab", 7, now); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s := NewSigner([]byte("secret"))
	good := s.Sign("Cart/1", "ab", 7, now)
	f.Add(good, "Cart/1", "ab", int64(7))
	f.Add("v1.1.a", "", "", int64(-1))
	f.Fuzz(func(t *testing.T, header, object, session string, token int64) {
		err := s.Verify(header, object, session, token, now)
		if err == nil && (header != good || object != "Cart/1" || session != "ab" || token != 7) {
			t.Fatalf("forged: %q %q %q %d", header, object, session, token)
		}
	})
}

func TestRefusalRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := Refusal{Reason: rapid.StringMatching(`[a-z-]{1,32}`).Draw(rt, "reason"), Token: rapid.Int64Min(0).Draw(rt, "token")}
		if got, err := ParseRefusal(r.String()); err != nil || got != r {
			rt.Fatalf("%v → %q → %v, %v", r, r.String(), got, err)
		}
	})
}

func TestParseRefusal(t *testing.T) {
	for in, want := range map[string]*Refusal{
		"reason=lease; token=0":                {ReasonLease, 0},
		"reason=released;token=17; more=later": {ReasonReleased, 17},
		"reason=session":                       {ReasonSession, 0},
		"":                                     nil,
		"token=1":                              nil,
		"reason=":                              nil,
		"reason=UPPER":                         nil,
		"reason=a b":                           nil,
		"reason=lease; token=-1":               nil,
		"reason=lease; token=9223372036854775808": nil,
		"reason=lease; what":                      nil,
		"reason=" + strings.Repeat("a", 33):       nil,
	} {
		got, err := ParseRefusal(in)
		if want == nil {
			if !errors.Is(err, ErrRefusal) {
				t.Errorf("%q: %v, %v", in, got, err)
			}
		} else if err != nil || got != *want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

// The list that Envoy gets and the one that the gateway applies are the same.
func TestStripPatternIsTrusted(t *testing.T) {
	re := regexp.MustCompile(StripPattern())
	words := append(strings.Split("object session token auth refuse refusal event activation pin caller preview override object-version version-overrides x", " "), "")
	rapid.Check(t, func(rt *rapid.T) {
		sep := rapid.SampledFrom([]string{"-", "_", "", "--"})
		name := rapid.SampledFrom([]string{"", "x", "xx"}).Draw(rt, "x") + sep.Draw(rt, "s1") +
			rapid.SampledFrom([]string{"skewgate", "skew", "Skewgate"}).Draw(rt, "brand") + sep.Draw(rt, "s2") + rapid.SampledFrom(words).Draw(rt, "word")
		// "object-version" and the like have a hyphen inside that is theirs.
		if got, want := Trusted(name), re.MatchString(strings.ToLower(name)); got != want {
			rt.Fatalf("%q: Trusted %v, pattern %v", name, got, want)
		}
	})
}

func TestStrip(t *testing.T) {
	h := http.Header{
		"Skewgate-Token": {"1"}, "X-Skewgate-Token": {"1"}, "Skewgate_token": {"1"}, "X_skewgate_auth": {"1"}, "skewgate-object": {"1"},
		"Skewgate-Caller": {"web@v1"}, "Skewgate_caller": {"evil@v1"}, "X-Skewgate-Caller": {"evil@v1"}, "X-Skewgate-Pin": {"1"},
		"Skewgate-Preview": {"p"}, "Authorization": {"b"}, "Skewgate-Tokens": {"kept"},
	}
	Strip(h)
	if len(h) != 4 || h["Skewgate-Caller"] == nil || h["Skewgate-Preview"] == nil || h["Authorization"] == nil || h["Skewgate-Tokens"] == nil {
		t.Fatalf("left %v", h)
	}
	for _, n := range TrustedNames() {
		if !Trusted(n) || !Trusted(strings.ToUpper(n)) {
			t.Errorf("%s is not trusted", n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Trusted("X-Skewgate-Token"); Trusted("Content-Type") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The documented table, once more, by hand: a change of a row must be meant.
var documented = map[Code]struct {
	http       int
	grpc       codes.Code
	retryable  Retryable
	overloaded bool
	retryAfter bool
}{
	"object_key_missing":   {400, codes.InvalidArgument, "no", false, false},
	"object_key_invalid":   {400, codes.InvalidArgument, "no", false, false},
	"no_route":             {404, codes.Unimplemented, "no", false, false},
	"version_incompatible": {409, codes.FailedPrecondition, "no", false, false},
	"stale_instance":       {409, codes.Aborted, "if-idempotent", false, false},
	"preview_not_exported": {403, codes.PermissionDenied, "no", false, false},
	"preview_not_bound":    {403, codes.PermissionDenied, "no", false, false},
	"no_host":              {503, codes.Unavailable, "yes", false, true},
	"owner_moving":         {503, codes.Unavailable, "yes", false, true},
	"store_unavailable":    {503, codes.Unavailable, "yes", false, true},
	"overloaded":           {503, codes.ResourceExhausted, "no", true, true},
	"upstream_failed":      {502, codes.Unavailable, "if-idempotent", false, false},
	"upstream_timeout":     {504, codes.DeadlineExceeded, "if-idempotent", false, false},
}

func problemFor(c Code) *Problem {
	return &Problem{
		Code: c, Detail: "what happened: ünï 100 %", Object: "Cart/a%20b", ObjectVersion: "shop@v2", CallerVersion: "web@v1", Token: 42,
		RetryAfter: 1500 * time.Millisecond, Err: errors.New("internal detail"),
	}
}

// TestErrorTable walks the one table, in each protocol.
func TestErrorTable(t *testing.T) {
	if len(Table()) != len(documented) {
		t.Fatalf("the table has %d rows, %d are documented", len(Table()), len(documented))
	}
	for _, row := range Table() {
		t.Run(string(row.Code), func(t *testing.T) {
			want, ok := documented[row.Code]
			if !ok || row.HTTP != want.http || row.GRPC != want.grpc || row.Retryable != want.retryable ||
				row.Overloaded != want.overloaded || row.RetryAfter != want.retryAfter || row.Title == "" {
				t.Fatalf("%+v, documented %+v", row, want)
			}
			checkJSON(t, row)
			checkGRPC(t, row, "application/grpc")
			checkGRPC(t, row, "application/grpc+proto")
			checkGRPC(t, row, "application/grpc-web+proto")
			checkConnect(t, row)
		})
	}
}

func answerOf(row Row, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/x", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	problemFor(row.Code).WriteTo(w, r)
	return w
}

func checkRetryAfter(t *testing.T, row Row, w *httptest.ResponseRecorder) {
	t.Helper()
	if got := w.Header().Get("Retry-After"); (got != "") != row.RetryAfter || (got != "" && got != "2") {
		t.Errorf("Retry-After %q", got)
	}
	if strings.Contains(w.Body.String(), "internal detail") {
		t.Error("the cause was sent")
	}
}

func checkJSON(t *testing.T, row Row) {
	t.Helper()
	w := answerOf(row)
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if w.Code != row.HTTP || w.Header().Get("Content-Type") != "application/problem+json" || got["status"] != float64(row.HTTP) {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for k, v := range map[string]any{
		"code": string(row.Code), "title": row.Title, "detail": "what happened: ünï 100 %", "retryable": string(row.Retryable), "overloaded": row.Overloaded,
		"object": "Cart/a%20b", "objectVersion": "shop@v2", "callerVersion": "web@v1", "token": 42.0,
	} {
		if got[k] != v {
			t.Errorf("%s is %v, want %v", k, got[k], v)
		}
	}
	if s, _ := got["type"].(string); !strings.HasSuffix(s, "#"+string(row.Code)) {
		t.Errorf("type %q", s)
	}
	checkRetryAfter(t, row, w)
}

func checkGRPC(t *testing.T, row Row, contentType string) {
	t.Helper()
	w := answerOf(row, "Content-Type", contentType)
	h := w.Header()
	if w.Code != 200 || w.Body.Len() != 0 || h.Get("Content-Type") != contentType || h.Get("Grpc-Status") != strconv.Itoa(int(row.GRPC)) {
		t.Fatalf("%d %v", w.Code, h)
	}
	if m := h.Get("Grpc-Message"); m != "what happened: %C3%BCn%C3%AF 100 %25" {
		t.Errorf("message %q", m)
	}
	b, err := base64.RawStdEncoding.DecodeString(h.Get("Grpc-Status-Details-Bin"))
	if err != nil {
		t.Fatal(err)
	}
	checkStatus(t, row, b)
	checkRetryAfter(t, row, w)
}

func checkStatus(t *testing.T, row Row, b []byte) {
	t.Helper()
	var sp spb.Status
	if err := proto.Unmarshal(b, &sp); err != nil {
		t.Fatal(err)
	}
	details := status.FromProto(&sp).Details()
	info, ok := details[0].(*errdetails.ErrorInfo)
	if !ok || info.GetReason() != string(row.Code) || info.GetDomain() != ErrorDomain ||
		info.GetMetadata()["retryable"] != string(row.Retryable) || info.GetMetadata()["token"] != "42" || info.GetMetadata()["object"] != "Cart/a%20b" {
		t.Errorf("ErrorInfo %v", details)
	}
	if (len(details) == 2) != row.RetryAfter {
		t.Errorf("%d details", len(details))
	}
}

func checkConnect(t *testing.T, row Row) {
	t.Helper()
	var got connectError
	w := answerOf(row, "Content-Type", "application/json", "Connect-Protocol-Version", "1")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if w.Code != row.HTTP || got.Code == "unknown" || got.Message == "" || len(got.Details) == 0 || got.Details[0].Type != "google.rpc.ErrorInfo" {
		t.Errorf("unary: %d %+v", w.Code, got)
	}
	w = answerOf(row, "Content-Type", "application/connect+json")
	frame := w.Body.Bytes()
	var end struct{ Error connectError }
	if w.Code != 200 || frame[0] != 2 || json.Unmarshal(frame[5:], &end) != nil || end.Error.Code != got.Code {
		t.Errorf("stream: %d %q", w.Code, frame)
	}
}

func TestUnknownCodePromisesNothing(t *testing.T) {
	if r := Code("later").Row(); r.Code != UpstreamFailed || r.Retryable == RetryYes {
		t.Fatalf("%+v", r)
	}
}

func TestReleaseRoundTrip(t *testing.T) {
	signer := NewSigner([]byte("secret"))
	var got ReleaseRequest
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strconv.ParseInt(r.Header.Get(HeaderToken), 10, 64)
		if err := signer.Verify(r.Header.Get(HeaderAuth), r.Header.Get(HeaderObject), r.Header.Get(HeaderSession), token, time.Now()); err != nil || r.URL.Path != PathRelease {
			w.Header().Set(HeaderRefusal, Refusal{Reason: ReasonAuth}.String())
			w.WriteHeader(421)
			return
		}
		var err error
		if got, err = ReadReleaseRequest(r); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		_ = json.NewEncoder(w).Encode(ReleaseReply{Released: true, Token: 9})
	}))
	defer srv.Close()
	addr := strings.TrimPrefix(srv.URL, "http://")
	c := &ReleaseClient{Signer: signer, HTTP: srv.Client()}
	want := ReleaseRequest{Object: "Cart/1", Session: "s", Token: 9, Mode: ReleaseDrain, Deadline: Seconds(30 * time.Second), Reason: "rollout", To: "next"}
	reply, err := c.Release(t.Context(), addr, want)
	if err != nil || !reply.Released || reply.Token != 9 || got != want {
		t.Fatalf("%+v %v, host read %+v", reply, err, got)
	}
	var refused *RefusedError
	if _, err := (&ReleaseClient{Signer: NewSigner([]byte("other")), HTTP: srv.Client()}).Release(t.Context(), addr, want); !errors.As(err, &refused) || refused.Refusal.Reason != ReasonAuth {
		t.Fatalf("wrong secret: %v", err)
	}
	want.Mode = "soon"
	if _, err := c.Release(t.Context(), addr, want); err == nil {
		t.Fatal("unknown mode was accepted")
	}
}

func TestReleaseBodyMustMatchWhatWasSigned(t *testing.T) {
	for _, body := range []string{
		`{"object":"Cart/2","token":9,"mode":"now","deadline":"1s"}`, `{"object":"Cart/1","token":8,"mode":"now","deadline":"1s"}`,
		`{"object":"Cart/1","token":9,"mode":"now","deadline":"-1s"}`, `{"object":"Cart/1","token":9,"mode":"now","deadline":"soon"}`, `{`, ``,
	} {
		r := httptest.NewRequest("POST", PathRelease, strings.NewReader(body))
		r.Header.Set(HeaderObject, "Cart/1")
		r.Header.Set(HeaderToken, "9")
		if req, err := ReadReleaseRequest(r); err == nil {
			t.Errorf("%s was read as %+v", body, req)
		}
	}
}

func TestPreviewClass(t *testing.T) {
	for _, tc := range [][3]string{{"Cart", "", "Cart"}, {"Cart", "pr-1", "Cart~pr-1"}} {
		joined := PreviewClass(tc[0], tc[1])
		if c, p := SplitClass(joined); joined != tc[2] || c != tc[0] || p != tc[1] {
			t.Errorf("%v: %q, %q %q", tc, joined, c, p)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	s := NewSigner([]byte("secret"))
	b.ReportAllocs()
	for b.Loop() {
		s.Sign("Cart/8812", "0123456789abcdef0123456789abcdef", 1_795_461_078_565_351, now)
	}
}

func BenchmarkVerify(b *testing.B) {
	s := NewSigner([]byte("secret"))
	h := s.Sign("Cart/8812", "0123456789abcdef0123456789abcdef", 1_795_461_078_565_351, now)
	b.ReportAllocs()
	for b.Loop() {
		if s.Verify(h, "Cart/8812", "0123456789abcdef0123456789abcdef", 1_795_461_078_565_351, now) != nil {
			b.Fatal("refused")
		}
	}
}
