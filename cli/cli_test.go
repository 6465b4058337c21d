package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/robust-transfer/rtx/cli"
	"github.com/robust-transfer/rtx/onnx"
)

func call(args ...string) outcome {
	var stdout, stderr bytes.Buffer
	code := cli.Main(args, &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestResultLost checks that a command fails whose result cannot be written.
func TestResultLost(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, args := range [][]string{{"version"}, {"version", "--json"}, {"inspect", backbone}, {"--help"}} {
		if code := cli.Main(args, full, io.Discard); code != 75 {
			t.Errorf("%v: exit %d, want 75", args, code)
		}
	}
}

// TestCommandLine checks that a wrong command line gives one line of error, the right
// exit code and a hint.
func TestCommandLine(t *testing.T) {
	unknown := write(t, "c.yaml", "batch-sizes: 3\n")
	broken := write(t, "c.yaml", "batch-size: [1\n")
	large := variant(t, func(m *onnx.Model) *onnx.Model {
		m, err := m.Expose([]onnx.Output{{Name: "features", Value: "features"}}, true)
		if err != nil {
			t.Fatal(err)
		}
		return m
	})
	list := write(t, "c.yaml", "model:\ndata: [a, b]\n")
	for _, c := range []struct {
		args string
		code int
		want string // in the error
		hint string
	}{
		{"featurise -m x", 2, `unknown verb "featurise"`, "did you mean featurize"},
		{"runtime instal", 2, `unknown verb "instal"`, "did you mean install"},
		{"featurize -d x -o y", 2, "--model is missing", "-m MODEL"},
		{"featurize --data-dir x", 2, "unknown flag --data-dir", "called --data"},
		{"featurize --imgsz 3", 2, "unknown flag --imgsz", "called --input-size"},
		{"finetune --bs 3", 2, "unknown flag --bs", "here it is called --batch-size"},
		{"featurize --bach-size 3", 2, "unknown flag --bach-size", "did you mean --batch-size"},
		{"featurize -m a.onnx images -o y", 2, `no argument "images"`, "--data"},
		{"featurize -m a -d b -o", 2, "needs a value", ""},
		{"featurize -m a -d b -o c -b 0", 2, "--batch-size is 0", ""},
		{"featurize -m a -d b -o c -b x", 2, "x", ""},
		{"featurize -m a -d b -o c --pool max", 2, "avg or none", ""},
		{"featurize -m a -d b -o c --device gpu", 2, "--device", ""},
		{"featurize -m a -d b -o c --device cpu:1", 2, "--device", ""},
		{"featurize -m a -d b -o c --max-skipped 1.5", 2, "--max-skipped", ""},
		{"featurize -m a -d b -o c --progress loud", 2, "--progress", ""},
		{"featurize -m a -d b -o c --config " + unknown, 2, `unknown key "batch-sizes"`, "--batch-size"},
		{"featurize -m a -d b -o c --config " + broken, 2, "c.yaml", ""},
		{"featurize -o c --config " + list, 2, "data is [a b]", ""},
		{"featurize -d b -o c --config " + write(t, "c.yaml", "model:\n"), 2, "--model is missing", ""},
		{"featurize -m a -d b -o c --config nowhere.yaml", 2, "nowhere.yaml", ""},
		{"featurize -m nowhere.onnx -d b -o c", 2, "nowhere.onnx", "rtx models"},
		{"featurize -m " + backbone + " -d nowhere -o c", 65, "nowhere", "--data"},
		{"featurize -m " + backbone + " -d . -o c --range 0..2", 2, "--range", ""},
		{"featurize -m " + backbone + " -d . -o c --input-size big", 2, "--input-size", ""},
		{"featurize -m " + backbone + " -d . -o c --normalize half", 2, "--normalize", ""},
		{"featurize -m " + backbone + " -d . -o c --normalize nan/1", 2, "--normalize", ""},
		{"featurize -m " + backbone + " -d . -o c --normalize 0/inf", 2, "--normalize", ""},
		{"featurize -m " + backbone + " -d . -o c --normalize imagenet", 2, "done twice", "leave --normalize out"},
		{"featurize -m " + backbone + " -d . -o c --normalize 0.5/0.25", 2, "done twice", "leave --normalize out"},
		{"featurize -m " + backbone + " -d . -o c --range 0..255", 2, "done twice", "leave --range out"},
		{"merge nowhere -o c", 65, "nowhere", "shard-0-of-4"},
		{"eval -m " + backbone + " -d . --normalize imagenet", 2, "done twice", "leave --normalize out"},
		{"predict -m " + backbone + " a.jpg --normalize imagenet", 2, "done twice", "leave --normalize out"},
		{"eval -m a", 2, "--data is missing", "rtx eval"},
		{"eval -d a", 2, "--model is missing", "rtx eval"},
		{"eval -m a -d b c", 2, `no argument "c"`, "--out"},
		{"eval -m a -d b --split dev", 2, "--split is", ""},
		{"eval -m a -d b --on-error stop", 2, "--on-error", ""},
		{"eval -m a -d b --device gpu", 2, "--device", ""},
		{"eval -m a -d b --top-k 3", 2, "unknown flag --top-k", ""},
		{"predict a.jpg", 2, "--model is missing", "rtx predict"},
		{"predict -m a", 2, "0 images", "rtx predict"},
		{"predict -m a a.jpg -b 0", 2, "--batch-size is 0", ""},
		{"predict -m nowhere.onnx a.jpg", 2, "nowhere.onnx", "rtx models"},
		{"inspect", 2, "one file", "rtx inspect"},
		{"inspect a b", 2, "one file", ""},
		{"featurize -m " + large + " -d . -o c --input-size 14000 -b 8", 2, "at most 7", "4 GiB"},
		{"inspect " + write(t, "a.onnx", "hello\n"), 65, "this is text", "ONNX"},
		{"inspect " + write(t, "a.onnx", ""), 65, "empty", ""},
		{"inspect " + write(t, "a.onnx", "<!DOCTYPE html><html>"), 65, "HTML", ""},
	} {
		t.Run(c.args, func(t *testing.T) {
			o := call(strings.Fields(c.args)...)
			if o.code != c.code {
				t.Errorf("exit %d, want %d", o.code, c.code)
			}
			first, rest, _ := strings.Cut(o.stderr, "\n")
			if !strings.HasPrefix(first, "rtx: error: ") || !strings.Contains(first, c.want) || strings.Count(o.stderr, "error:") != 1 {
				t.Errorf("stderr %q, want %q", o.stderr, c.want)
			}
			if !strings.Contains(rest, c.hint) {
				t.Errorf("hint %q, want %q", rest, c.hint)
			}
			if o.stdout != "" {
				t.Errorf("stdout %q", o.stdout)
			}
			// The same as JSON: one object on stdout, nothing on stderr.
			j := call(append(strings.Fields(c.args), "--json")...)
			if strings.HasSuffix(c.args, "-o") {
				return // --json became the value
			}
			e := object(t, j.stdout)
			if j.code != c.code || e["code"] != float64(c.code) || e["status"] != "failed" || e["schema"] != "rtx.error/1" || j.stderr != "" {
				t.Errorf("as JSON: %+v", j)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	// Flags may follow the file.
	o := call("inspect", backbone, "--json")
	m := object(t, o.stdout)
	spec := m["spec"].(map[string]any)
	if o.code != 0 || m["feature"] != "features" || spec["arch"] != "resnet8" || spec["normalized"] != true || len(m["problems"].([]any)) != 0 {
		t.Errorf("%v", m)
	}
	for _, want := range []string{"features", "resnet8", "normalised inside the network", "images float [N,3,32,32]"} {
		if text := call("inspect", backbone).stdout; !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestDashes reads a file whose name begins like a flag.
func TestDashes(t *testing.T) {
	model, err := os.ReadFile(backbone)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("-m.onnx", model, 0o666); err != nil {
		t.Fatal(err)
	}
	if o := call("inspect", "--json", "--", "-m.onnx"); o.code != 0 || object(t, o.stdout)["file"] != "-m.onnx" {
		t.Errorf("%+v", o)
	}
}

// TestAsksForJSON holds that errors of a command line are objects, however
// that is asked for.
func TestAsksForJSON(t *testing.T) {
	for env, args := range map[string][]string{"": {"featurize", "--bogus", "--json=true"}, "1": {"featurize", "--bogus"}, "0": {"featurise", "-json"}} {
		t.Setenv("RTX_JSON", env)
		if o := call(args...); o.code != 2 || o.stderr != "" || object(t, o.stdout)["code"] != 2.0 {
			t.Errorf("RTX_JSON=%s %v: %+v", env, args, o)
		}
	}
}

// fullDisk is a writer that fails as /dev/full does.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestFullOutput checks that commands fail whose result cannot be written.
func TestFullOutput(t *testing.T) {
	for _, args := range [][]string{{"inspect", backbone}, {"inspect", backbone, "--json"}, {"version"}, {"man"}, {"featurize", "--help"}} {
		var stderr bytes.Buffer
		if code := cli.Main(args, fullDisk{}, &stderr); code != 75 || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%v: exit %d, %q", args, code, stderr.String())
		}
	}
}

func TestVersionAndDoctor(t *testing.T) {
	if o := call("version"); o.code != 0 || !strings.HasPrefix(o.stdout, "rtx ") {
		t.Errorf("%+v", o)
	}
	if o := call("version", "--json"); object(t, o.stdout)["go"] != runtime.Version() {
		t.Errorf("%+v", o)
	}
	text := write(t, "libonnxruntime.so", "no library")
	t.Setenv("RTX_ONNXRUNTIME", text)
	if o := call("doctor"); o.code != 69 || !strings.Contains(o.stdout, "missing") {
		t.Errorf("%+v", o)
	}
	if o := call("doctor", "--json"); o.code != 69 || object(t, o.stdout)["status"] != "failed" {
		t.Errorf("%+v", o)
	}
	// A library that was named is never replaced by another.
	if o := call("runtime", "path"); o.code != 69 || !strings.Contains(o.stderr, text) {
		t.Errorf("%+v", o)
	}
}

// TestConfig compares what args.yaml records with where each value came from:
// flag before environment before file before default.
func TestConfig(t *testing.T) {
	needLibrary(t)
	data, base := drawn(t, 10), t.TempDir()
	t.Setenv("RTX_BATCH_SIZE", "5")
	t.Setenv("RTX_WORKERS", "2")
	file := write(t, "c.yaml", "batch-size: 3\nworkers: 1\nthreads: 1\nnormalize: none\nmodel: "+backbone+"\n")
	out := filepath.Join(base, "a")
	if o := call("featurize", "--config", file, "-d", data, "-o", out, "--workers", "4", "-q"); o.code != 0 {
		t.Fatal(o)
	}
	args, err := os.ReadFile(filepath.Join(out, "args.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"batch-size: 5", "workers: 4", "threads: 1", "normalize: none", "pool: avg"} {
		if !strings.Contains(string(args), want+"\n") {
			t.Errorf("no %q in args.yaml:\n%s", want, args)
		}
	}
	// args.yaml is itself a configuration.
	again := filepath.Join(base, "b")
	if o := call("featurize", "--config", filepath.Join(out, "args.yaml"), "-o", again, "-q"); o.code != 0 {
		t.Fatal(o)
	}
	sameFiles(t, again, out)
}

func TestFeaturizeJSON(t *testing.T) {
	needLibrary(t)
	data, out := drawn(t, 30), filepath.Join(t.TempDir(), "set")
	os.WriteFile(filepath.Join(data, "star", "bad.jpg"), []byte("no image"), 0o666)
	args := []string{"featurize", "-m", backbone, "-d", data, "-o", out, "--json", "-b", "7"}
	o := call(args...)
	r := object(t, o.stdout)
	if o.code != 0 || o.stderr != "" || r["schema"] != "rtx.featurize/1" || r["status"] != "done" || r["samples"] != 30.0 || r["dim"] != 96.0 || r["skipped"] != 1.0 || r["out"] != out {
		t.Errorf("%+v", o)
	}
	if o := call(args...); object(t, o.stdout)["status"] != "cached" || o.code != 0 {
		t.Errorf("again: %+v", o)
	}
	if o := call(append(args, "-b", "8")...); o.code != 2 || !strings.Contains(o.stdout, "batch_size is 7 there and 8 here") {
		t.Errorf("another batch size: %+v", o)
	}
	if o := call(append(args, "--on-error", "fail", "--overwrite")...); o.code != 65 || !strings.Contains(o.stdout, "bad.jpg") {
		t.Errorf("fail fast: %+v", o)
	}
	o = call(append(args, "--overwrite", "--progress", "jsonl")...)
	lines := strings.Split(strings.TrimSpace(o.stderr), "\n")
	var last map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last["event"] != "end" || last["done"] != 31.0 || len(lines) < 6 {
		t.Errorf("progress: %v %q", err, o.stderr)
	}
	var run map[string]any
	b, err := os.ReadFile(filepath.Join(out, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &run); err != nil || run["spec"] != "model" || run["decoder"] == nil || run["counts"].(map[string]any)["samples"] != 30.0 {
		t.Errorf("run.json: %v %s", err, b)
	}
}

func TestFeaturizeRefuses(t *testing.T) {
	needLibrary(t)
	data := drawn(t, 10)
	model, err := os.ReadFile(backbone)
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, "afile", "")
	empty := t.TempDir()
	garbage := t.TempDir()
	os.WriteFile(filepath.Join(garbage, "1.jpg"), []byte("x"), 0o666)
	old := oldLibrary(t)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"truncated model":   {[]string{"-m", write(t, "t.onnx", string(model[:len(model)/2])), "-d", data}, 65, "it ends after"},
		"text as model":     {[]string{"-m", write(t, "t.onnx", "hello"), "-d", data}, 65, "this is text"},
		"no such layer":     {[]string{"-m", backbone, "-d", data, "--layer", "feature"}, 2, "did you mean features"},
		"empty folder":      {[]string{"-m", backbone, "-d", empty}, 65, "no images"},
		"nothing decodes":   {[]string{"-m", backbone, "-d", garbage}, 65, "none of the 1 images"},
		"text as library":   {[]string{"-m", backbone, "-d", data, "--onnxruntime", file}, 69, "afile"},
		"missing library":   {[]string{"-m", backbone, "-d", data, "--onnxruntime", "nowhere.so"}, 69, "nowhere.so"},
		"old library":       {[]string{"-m", backbone, "-d", data, "--onnxruntime", old}, 69, "1.20.1, expected 1.24"},
		"no CUDA":           {[]string{"-m", backbone, "-d", data, "--device", "cuda"}, 69, "cuda"},
		"output is a file":  {[]string{"-m", backbone, "-d", data, "-o", file}, 2, "afile"},
		"unwritable":        {[]string{"-m", backbone, "-d", data, "-o", "/proc/rtx"}, 1, "/proc/rtx"},
		"output of another": {[]string{"-m", backbone, "-d", data, "-o", data}, 2, "no feature set"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"featurize", "--json"}, c.args...)
			if !strings.Contains(strings.Join(c.args, " "), " -o ") {
				args = append(args, "-o", filepath.Join(t.TempDir(), "out"))
			}
			// A process each: a process uses one library only.
			o := rtx(t, args...)
			if e := object(t, o.stdout); o.code != c.code || !strings.Contains(fmt.Sprintln(e["error"], e["hint"]), c.want) {
				t.Errorf("want exit %d with %q: %+v", c.code, c.want, o)
			}
		})
	}
}

// oldLibrary compiles a library that says it is onnxruntime 1.20.1.
func oldLibrary(t *testing.T) string {
	t.Helper()
	source := write(t, "old.c", `#include <stddef.h>
static const char *version(void) { return "1.20.1"; }
static const void *api(unsigned v) { return NULL; }
static struct { const void *(*a)(unsigned); const char *(*v)(void); } base = {api, version};
const void *OrtGetApiBase(void) { return &base; }
`)
	out := filepath.Join(t.TempDir(), "libold.so")
	cc := command(t)
	cc.Path, cc.Args = "/usr/bin/env", []string{"env", "cc", "-shared", "-fPIC", "-o", out, source}
	if o := finish(t, cc); o.code != 0 {
		t.Skipf("no C compiler: %s", o.stderr)
	}
	return out
}
