package cli_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
)

type prediction struct {
	Path, Label, Class, Error string
	Probability               float64
	Top                       []struct {
		Label       string
		Probability float64
	}
}

func predictions(t *testing.T, lines string) []prediction {
	t.Helper()
	var out []prediction
	for _, line := range strings.SplitAfter(lines, "\n") {
		if line == "" {
			continue
		}
		var p prediction
		if err := json.Unmarshal([]byte(line), &p); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%v: %q", err, line)
		}
		out = append(out, p)
	}
	return out
}

func TestPredict(t *testing.T) {
	needLibrary(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for i, name := range []string{"b.png", "a.png", "c.png"} {
		writePNG(t, file(name), shapes.Draw(i, uint64(i), shapes.Config{Size: 40}))
	}
	os.WriteFile(file("bad.jpg"), []byte("no image"), 0o666)
	o := call("predict", file("b.png"), file("bad.jpg"), "-m", backbone, file("a.png"), "--top-k", "3", file("b.png"), "nowhere.png", "-q")
	got := predictions(t, o.stdout)
	if o.code != 65 || len(got) != 5 {
		t.Fatalf("%+v", o)
	}
	for i, want := range []string{file("b.png"), file("bad.jpg"), file("a.png"), file("b.png"), "nowhere.png"} {
		p := got[i]
		if broken := i == 1 || i == 4; p.Path != want || broken != (p.Error != "") || broken != (len(p.Top) == 0) {
			t.Errorf("line %d: %+v, want %q", i, p, want)
		} else if broken {
			continue
		}
		if len(p.Top) != 3 || p.Top[0].Label != p.Label || p.Top[0].Probability != p.Probability || p.Top[1].Probability > p.Probability || p.Class != "" {
			t.Errorf("line %d: %+v", i, p)
		}
	}
	if got[0].Label != got[3].Label || got[0].Probability != got[3].Probability {
		t.Errorf("one image, two answers: %+v %+v", got[0], got[3])
	}
	o = call("predict", file("a.png"), "-m", backbone, "--top-k", "99", "-q")
	sum := 0.0
	for _, x := range predictions(t, o.stdout)[0].Top {
		sum += x.Probability
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("the probabilities of all classes add up to %v", sum)
	}
	t.Run("JSON", func(t *testing.T) {
		o := call("predict", file("a.png"), file("bad.jpg"), "-m", backbone, "--json")
		r := object(t, o.stdout)
		p := r["predictions"].([]any)
		if o.code != 65 || o.stderr != "" || r["schema"] != "rtx.predict/1" || r["status"] != "done" || r["images"] != 2.0 || r["failed"] != 1.0 || len(p) != 2 || p[0].(map[string]any)["label"] != got[2].Label {
			t.Errorf("%+v", o)
		}
	})
	t.Run("no names", func(t *testing.T) {
		o := call("predict", file("a.png"), "-m", variant(t, nameless))
		p := predictions(t, o.stdout)
		if n := cifar[int(p[0].Label[0]-'0')]; n != got[2].Label || !strings.Contains(o.stderr, "names no classes") {
			t.Errorf("%+v, want the place of %q", o, got[2].Label)
		}
	})
	t.Run("a softmax", func(t *testing.T) {
		o := call("predict", file("a.png"), "-m", variant(t, softmaxed), "--top-k", "3")
		p := predictions(t, o.stdout)[0]
		if p.Label != got[2].Label || math.Abs(p.Probability-got[2].Probability) > 1e-6 || !strings.Contains(o.stderr, "softmax") {
			t.Errorf("%+v, want %+v", p, got[2])
		}
	})
}

func TestPredictData(t *testing.T) {
	needLibrary(t)
	data, base := drawn(t, 70), t.TempDir()
	out := filepath.Join(base, "p.jsonl")
	o := call("predict", "-m", backbone, "-d", data, "-o", out)
	if o.code != 0 || o.stdout != out+"\n" {
		t.Fatalf("%+v", o)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got := predictions(t, string(text))
	if len(got) != 70 {
		t.Fatalf("%d lines", len(got))
	}
	for i, p := range got {
		if p.Class != strings.Split(p.Path, "/")[0] || i > 0 && got[i-1].Path >= p.Path {
			t.Errorf("line %d: %+v", i, p)
		}
	}
	if direct := call("predict", "-m", backbone, "-d", data, "-q"); direct.stdout != string(text) {
		t.Error("standard output differs from the file")
	}
	if o := call("predict", "-m", backbone, "-d", data, "-o", out, "--overwrite", "--json"); object(t, o.stdout)["predictions"] != nil || object(t, o.stdout)["out"] != out {
		t.Errorf("%+v", o)
	}
	stream := predictions(t, call("predict", "-m", backbone, "-d", packed(t, data)["tar.gz"], "-q").stdout)
	if len(stream) != 70 || stream[0].Label != got[0].Label || stream[0].Class != "" {
		t.Errorf("a stream: %d lines, the first %+v", len(stream), stream[0])
	}
	if part, _ := filepath.Glob(filepath.Join(base, "*.part")); len(part) > 0 {
		t.Errorf("left behind: %q", part)
	}
}

func TestPredictRefuses(t *testing.T) {
	needLibrary(t)
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.png"), filepath.Join(dir, "bad.jpg")
	writePNG(t, good, shapes.Draw(1, 1, shapes.Config{Size: 40}))
	os.WriteFile(bad, []byte("x"), 0o666)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":           {nil, 2, "0 images"},
		"both":              {[]string{good, "-d", dir}, 2, "one or the other"},
		"a folder":          {[]string{dir, good}, 2, "is a folder"},
		"no labels asked":   {[]string{good, "--top-k", "0"}, 2, "--top-k"},
		"all broken":        {[]string{bad, bad}, 65, "none of the 2 images"},
		"no image is there": {[]string{"nowhere.png"}, 65, "no such file"},
		"a folder as file":  {[]string{good, "-o", dir}, 2, "is a folder"},
		"an image as file":  {[]string{bad, good, "-o", filepath.Join(dir, ".", "good.png")}, 2, "same file"},
		"nowhere to write":  {[]string{good, "-o", filepath.Join(dir, "none", "x")}, 1, "no such file"},
		"no folder of that": {[]string{"-d", "nowhere"}, 65, "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			o := call(append([]string{"predict", "-m", backbone, "--json"}, c.args...)...)
			if e := object(t, o.stdout); o.code != c.code || o.stderr != "" || !strings.Contains(e["error"].(string), c.want) {
				t.Errorf("want exit %d with %q: %+v", c.code, c.want, o)
			}
		})
	}
	if o := call("predict", good); o.code != 2 || !strings.Contains(o.stderr, "--model") {
		t.Errorf("no model: %+v", o)
	}
	if o := call("predict", good, "-m", variant(t, cut("features"))); o.code != 65 || !strings.Contains(o.stderr, "classifier") {
		t.Errorf("a trunk: %+v", o)
	}
	// What was there before stays when nothing comes of a command.
	out := write(t, "p.jsonl", "before")
	o := call("predict", "-m", backbone, bad, "-o", out, "--overwrite")
	if text, _ := os.ReadFile(out); o.code != 65 || string(text) != "before" {
		t.Errorf("%+v left %q", o, text)
	}
}

// TestPredictInterrupted wants whole lines after SIGINT, on standard output and
// in a file.
func TestPredictInterrupted(t *testing.T) {
	needLibrary(t)
	data, out := t.TempDir(), filepath.Join(t.TempDir(), "p.jsonl")
	for i := range 1500 {
		writePNG(t, filepath.Join(data, fmt.Sprintf("%04d.png", i)), shapes.Draw(i%10, uint64(i), shapes.Config{Size: 40}))
	}
	args := []string{"predict", "-m", backbone, "-d", data, "-b", "4"}
	o := interrupt(t, args...)
	if n := len(predictions(t, o.stdout)); o.code != 130 || n == 0 || n >= 1500 || n%4 != 0 {
		t.Errorf("exit %d after %d lines", o.code, n)
	}
	o = interrupt(t, append(args, "-o", out, "--json")...)
	if r := object(t, o.stdout); o.code != 130 || r["status"] != "interrupted" {
		t.Errorf("%+v", o)
	}
	part, err := os.ReadFile(out + ".part")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(predictions(t, string(part))); n == 0 || n >= 1500 {
		t.Errorf("%d lines", n)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the file has its name without being whole")
	}
	if o := rtx(t, append(args, "-o", out, "-q")...); o.code != 0 {
		t.Errorf("%+v", o)
	}
	whole, _ := os.ReadFile(out)
	if n := len(predictions(t, string(whole))); n != 1500 {
		t.Errorf("%d lines", n)
	}
}
