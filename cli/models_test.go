package cli_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// ownCache gives a test an empty cache, and returns its folder of checkpoints.
func ownCache(t *testing.T) string {
	t.Helper()
	if _, err := program(); err != nil { // the compiler's cache is there, too
		t.Fatal(err)
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Caches", "rtx", "checkpoints")
	}
	return filepath.Join(home, "cache", "rtx", "checkpoints")
}

// checkpoint is a zip file of n random bytes, as a new PyTorch writes.
func checkpoint(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "archive/data.pkl", Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{3})
	data := make([]byte, n)
	random.Read(data)
	w.Write(data)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mirror serves one file under every name, slowly where pace says so, and
// counts the requests.
func mirror(t *testing.T, content []byte, pace time.Duration) (address string, requests *atomic.Int64) {
	requests = new(atomic.Int64)
	started := time.Now()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(&slow{w, pace}, r, "", started, bytes.NewReader(content))
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

// slow writes 32 kB at a time.
type slow struct {
	http.ResponseWriter
	pace time.Duration
}

func (s *slow) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		var k int
		k, err = s.ResponseWriter.Write(b[:min(len(b), 32<<10)])
		n, b = n+k, b[k:]
		if s.pace > 0 {
			s.ResponseWriter.(http.Flusher).Flush()
			time.Sleep(s.pace)
		}
	}
	return n, err
}

const released = "resnet18_l2_eps3" // nothing but its name is known of the file

func TestModels(t *testing.T) {
	ownCache(t)
	models := func(args ...string) []any {
		o := call(append([]string{"models", "--json"}, args...)...)
		r := object(t, o.stdout)
		if o.code != 0 || o.stderr != "" || r["schema"] != "rtx.models/1" {
			t.Fatal(o)
		}
		return r["models"].([]any)
	}
	for pattern, want := range map[string]int{"": 70, "linf": 15, "resnet50_linf": 5, "wide": 25, "*_eps3": 10, "densenet161": 2, "vgg16_bn_l2_eps?": 2} {
		if n := len(models(pattern)); n != want {
			t.Errorf("%q: %d models, want %d", pattern, n, want)
		}
	}
	m := models("resnet50_linf_eps4.0")[0].(map[string]any)
	if m["eps"] != 4./255 || math.Abs(m["imagenet_top1"].(float64)-0.6386) > 1e-12 || m["state"] != "not fetched" || m["path"] != nil || m["size"] != 204818947.0 || len(m["sha256"].(string)) != 64 {
		t.Errorf("%v", m)
	}
	if m := models("resnet8_std")[0].(map[string]any); m["state"] != "bundled" || m["norm"] != nil || m["imagenet_top1"] != nil || m["size"] != 707811.0 {
		t.Errorf("%v", m)
	}
	text := call("models", "resnet50_linf_eps4").stdout
	if !strings.Contains(text, "4/255  63.86     MIT      not fetched") {
		t.Errorf("%s", text)
	}
	for _, c := range []struct{ args, want, hint string }{
		{"models resnet99_l2", `matches "resnet99_l2"`, ""}, {"models ge", `matches "ge"`, "get"}, {"models a b", "one pattern", ""},
		{"models get", "no model is named", "NAME"}, {"models get resnet50_l2_ep3", "resnet50_l2_ep3", "did you mean resnet50_l2_eps3"},
		{"models get resnet50", `no model "resnet50"`, "did you mean one of resnet50_l2_eps0, resnet50_l2_eps0.01, "}, {"models get resnet50", "", "resnet50_l2_eps3, "},
		{"models get VGG", "", "one of vgg16_bn_l2_eps0, vgg16_bn_l2_eps3\n"}, {"inspect resnext50_32x4d_l2", "", "one of resnext50_32x4d_l2_eps0, resnext50_32x4d_l2_eps3\n"},
		{"models get x4d_l2_eps3", "", "did you mean resnext50_32x4d_l2_eps3\n"}, {"models get wide", "", "or one of the 5 others that rtx models lists"},
		{"models get resnet50_l2_eps3.onnx", "", "did you mean resnet50_l2_eps3\n"}, {"models rm densenet", "", "one of densenet_l2_eps0, densenet_l2_eps3\n"},
		{"models get ../../etc/passwd", "passwd", ""}, {"models get resnet50_l2_eps3 resnet50_l2_eps5 --from http://127.0.0.1/a.ckpt", "one file for 2 names", "folder"},
		{"inspect resnet50_l2_eps0.2", "resnet50_l2_eps0.2", "did you mean resnet50_l2_eps0"},
		{"inspect resnet50_l2_eps3.ckpt", "no file", "did you mean the model resnet50_l2_eps3"},
	} {
		o := call(strings.Fields(c.args)...)
		if o.code != 2 || !strings.Contains(o.stderr, c.want) || !strings.Contains(o.stderr, c.hint) {
			t.Errorf("%s: %+v", c.args, o)
		}
	}
	if o := call("inspect", "resnet50_l2_eps3"); o.code != 69 || !strings.Contains(o.stderr, "hint: rtx models get resnet50_l2_eps3") {
		t.Errorf("%+v", o)
	}
}

func TestModelsGet(t *testing.T) {
	dir := ownCache(t)
	content := checkpoint(t, 200_000)
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	address, requests := mirror(t, content, 0)
	want := filepath.Join(dir, released+".ckpt")
	check := func(o outcome, status string) {
		t.Helper()
		r := object(t, o.stdout)
		got, err := os.ReadFile(want)
		if o.code != 0 || o.stderr != "" || r["status"] != status || r["out"] != want || err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%+v %v", o, err)
		}
		if m := r["models"].([]any)[0].(map[string]any); m["sha256"] != sum || m["state"] != "in cache" {
			t.Errorf("%v", m)
		}
	}
	check(call("models", "get", released, "--from", address+"/files/", "--json"), "done")
	check(call("models", "get", released, "--json"), "cached")
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	if o := call("models", "get", released); o.code != 0 || o.stdout != want+"\n" {
		t.Errorf("%+v", o)
	}
	if hidden, _ := filepath.Glob(filepath.Join(dir, ".*part*")); len(hidden) > 0 {
		t.Errorf("left: %v", hidden)
	}
	// It is taken for a PyTorch checkpoint, which it is not.
	if o := call("inspect", released); o.code != 65 || !strings.Contains(o.stderr, "not a readable checkpoint") {
		t.Errorf("%+v", o)
	}
	// Bytes that changed in the cache are fetched anew, a file that was only
	// touched is not.
	os.Chtimes(want, time.Now(), time.Now().Add(-time.Hour))
	check(call("models", "get", released, "--json"), "cached")
	damaged := bytes.Clone(content)
	damaged[1000]++
	os.WriteFile(want, damaged, 0o666)
	os.Chtimes(want, time.Now(), time.Now().Add(-time.Minute))
	check(call("models", "get", released, "--from", address+"/x.ckpt?key=1", "--json"), "done")
	// From a folder and a file.
	folder := t.TempDir()
	os.WriteFile(filepath.Join(folder, released+".ckpt"), content, 0o666)
	for _, from := range []string{folder, filepath.Join(folder, released+".ckpt")} {
		os.RemoveAll(dir)
		check(call("models", "get", released, "--from", from, "--json"), "done")
	}
	if o := call("models", "get", "resnet8_std", released); o.code != 0 || o.stdout != filepath.Join(dir, "resnet8_std.onnx")+"\n"+want+"\n" {
		t.Errorf("%+v", o)
	}
}

// TestModelsGetRefuses wants the code and the reason, and nothing left.
func TestModelsGetRefuses(t *testing.T) {
	good := checkpoint(t, 5000)
	for name, c := range map[string]struct {
		model, content string
		code           int
		want           string
	}{
		"HTML":                           {released, "\n<!DOCTYPE html><html>", 65, "an HTML page"},
		"Git LFS":                        {released, "version https://git-lfs.github.com/spec/v1\noid sha256:00\n", 65, "Git LFS pointer"},
		"empty":                          {released, "", 65, "an empty file"},
		"text":                           {released, "not found", 65, "something else"},
		"cut off":                        {released, string(good[:len(good)/2]), 65, "damaged or cut off"},
		"wrong size":                     {"resnet50_linf_eps4.0", string(good), 65, "expected 204818947"},
		"wrong beginning of the SHA-256": {"resnet50_l2_eps0.03", string(good), 65, "expected e375df3b"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := ownCache(t)
			folder := t.TempDir()
			os.WriteFile(filepath.Join(folder, c.model+".ckpt"), []byte(c.content), 0o666)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/octet-stream")
				w.Write([]byte(c.content))
			}))
			defer server.Close()
			for _, from := range []string{folder, server.URL} {
				o := call("models", "get", c.model, "--from", from, "--json")
				if e := object(t, o.stdout); o.code != c.code || !strings.Contains(e["error"].(string), c.want) {
					t.Errorf("want %q: %+v", c.want, o)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 || filepath.Ext(left[0]) != ".lock" {
				t.Errorf("left: %v", left)
			}
		})
	}
	ownCache(t)
	if o := call("models", "get", released, "--from", t.TempDir()); o.code != 69 || !strings.Contains(o.stderr, released+".ckpt") {
		t.Errorf("%+v", o)
	}
	if o := call("models", "get", released, "--from", "http://127.0.0.1:1/"); o.code != 69 || !strings.Contains(o.stderr, "--from") {
		t.Errorf("%+v", o)
	}
	// What the host announces is heeded.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/"+released+".ckpt" {
			w.Header().Set("X-Linked-Etag", `"`+hex.EncodeToString(make([]byte, 32))+`"`)
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		w.Write(good)
	}))
	defer server.Close()
	if o := call("models", "get", released, "--from", server.URL); o.code != 65 || !strings.Contains(o.stderr, "expected 0000") {
		t.Errorf("%+v", o)
	}
}

// TestModelsGetTogether has four processes fetch one file once.
func TestModelsGetTogether(t *testing.T) {
	dir := ownCache(t)
	content := checkpoint(t, 300_000)
	address, requests := mirror(t, content, 20*time.Millisecond)
	var group sync.WaitGroup
	outcomes := make([]outcome, 4)
	for i := range outcomes {
		cmd := command(t, "models", "get", released, "--from", address)
		group.Go(func() { outcomes[i] = finish(t, cmd) })
	}
	group.Wait()
	for _, o := range outcomes {
		if o.code != 0 || o.stdout != filepath.Join(dir, released+".ckpt")+"\n" {
			t.Errorf("%+v", o)
		}
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestModelsGetKilled ends a download by signals at random moments.
func TestModelsGetKilled(t *testing.T) {
	dir := ownCache(t)
	content := checkpoint(t, 2_000_000)
	address, _ := mirror(t, content, 4*time.Millisecond) // about 250 ms in all
	part := filepath.Join(dir, "."+released+".ckpt.part")
	args := []string{"models", "get", released, "--from", address, "--json"}
	kept := 0
	for i := range 12 {
		os.RemoveAll(dir)
		cmd := command(t, args...)
		var stdout bytes.Buffer
		cmd.Stdout = &stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for begun := time.Now(); time.Since(begun) < 5*time.Second; time.Sleep(time.Millisecond) {
			if info, err := os.Stat(part); err == nil && info.Size() > 0 {
				break
			}
		}
		time.Sleep(rand.N(250 * time.Millisecond))
		signal := []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM}[i%3]
		cmd.Process.Signal(signal)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); signal != syscall.SIGKILL && code != 0 {
			if code != 128+int(signal) || object(t, stdout.String())["status"] != "interrupted" {
				t.Errorf("%v: exit %d, %s", signal, code, stdout.String())
			}
		}
		if info, err := os.Stat(part); err == nil && info.Size() > 0 {
			kept++
		}
		o := rtx(t, args...)
		got, err := os.ReadFile(filepath.Join(dir, released+".ckpt"))
		if o.code != 0 || err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%v: %+v", err, o)
		}
	}
	if kept == 0 {
		t.Error("the test did not interrupt anything")
	}
	t.Logf("12 signals, %d parts kept", kept)
}

func TestModelsGetDiskFull(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root on Linux")
	}
	dir := ownCache(t)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	defer syscall.Unmount(dir, 0)
	content := checkpoint(t, 1_000_000)
	address, requests := mirror(t, content, 0)
	args := []string{"models", "get", released, "--from", address, "--json"}
	if o := call(args...); o.code != 75 || !strings.Contains(o.stdout, "make room") {
		t.Errorf("on a full disk: %+v", o)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	o := call(args...)
	got, err := os.ReadFile(filepath.Join(dir, released+".ckpt"))
	if o.code != 0 || err != nil || !bytes.Equal(got, content) || requests.Load() != 2 {
		t.Errorf("with room again: %+v %v", o, err)
	}
}

func TestModelsAdd(t *testing.T) {
	dir := ownCache(t)
	data, err := os.ReadFile(backbone)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	mine, ckpt := filepath.Join(folder, "mine.onnx"), filepath.Join(folder, "net.ckpt")
	os.WriteFile(mine, data, 0o666)
	os.WriteFile(ckpt, checkpoint(t, 1000), 0o666)
	page := write(t, "page.onnx", "<html>")
	for _, c := range []struct {
		args   string
		code   int
		status string // or what the error or its hint says
	}{
		{mine, 0, "done"},
		{mine, 0, "cached"},
		{mine + " --arch resnet8", 0, "cached"},
		{mine + " --arch resnet50", 65, "mine should be a resnet50, and the file holds a resnet8"},
		{mine + " --eps linf:4", 2, "did you mean linf:4/255"},
		{mine + " --eps linf:4/255", 2, "another description"},
		{ckpt + " --name mine", 2, "--overwrite"},
		{ckpt + " --name MINE", 2, "--overwrite"},
		{ckpt + " --arch resnet18 --eps l2:3", 0, "done"},
		{ckpt + " --name mine --overwrite", 0, "done"},
		{ckpt + " --name resnet50_l2_eps3", 2, "rtx models get resnet50_l2_eps3 --from"},
		{ckpt + " --name resnet8_std", 2, "bundled"},
		{mine + " --name resnet8_std", 0, "cached"},
		{mine + " --name ../mine", 2, "cannot be a model's name"},
		{mine + " --name .mine", 2, "cannot be a model's name"},
		{mine + " --name a/b", 2, "cannot be a model's name"},
		{mine + " --name mine.onnx", 2, "cannot be a model's name"},
		{page, 65, "HTML"},
		{filepath.Join(folder, "none.onnx"), 2, "no file"},
		{folder, 2, "does not end like a model"},
	} {
		o := call(append([]string{"models", "add", "--json"}, strings.Fields(c.args)...)...)
		r := object(t, o.stdout)
		if ok := r["status"] == c.status || r["status"] == "failed" && strings.Contains(fmt.Sprint(r["error"], r["hint"]), c.status); o.code != c.code || !ok || o.stderr != "" {
			t.Errorf("%s: want %q: %+v", c.args, c.status, o)
		}
	}
	// mine is the checkpoint now, and its ONNX file is gone.
	if left, _ := filepath.Glob(filepath.Join(dir, "mine.*")); fmt.Sprint(left) != fmt.Sprint([]string{filepath.Join(dir, "mine.ckpt"), filepath.Join(dir, "mine.json")}) {
		t.Errorf("%v", left)
	}
	o := call("models", "net.", "--json")
	if o.code != 2 {
		t.Errorf("%+v", o)
	}
	o = call("models", "ne[t]", "--json")
	if m := object(t, o.stdout)["models"].([]any)[0].(map[string]any); m["name"] != "net" || m["norm"] != "l2" || m["eps"] != 3.0 || m["arch"] != "resnet18" || m["state"] != "in cache" || m["added"] != true {
		t.Errorf("%v", m)
	}
	// A damaged copy is noticed.
	os.Remove(filepath.Join(dir, "net.ckpt"))
	if o := call("inspect", "net"); o.code != 69 || !strings.Contains(o.stderr, "rtx models add FILE --name net") {
		t.Errorf("%+v", o)
	}
	if o := call("models", "add", ckpt, "--arch", "resnet18", "--eps", "l2:3", "--overwrite"); o.code != 0 {
		t.Errorf("%+v", o)
	}
	// So is a record that is none.
	os.WriteFile(filepath.Join(dir, "bad.json"), []byte(`{"model":{"Name":"bad","File":"../../x"}}`), 0o666)
	if o := call("models", "mine"); o.code != 0 || !strings.Contains(o.stderr, "bad.json is no record") {
		t.Errorf("%+v", o)
	}
}

// TestModelByName featurizes with a name as with the file.
func TestModelByName(t *testing.T) {
	needLibrary(t)
	t.Setenv("RTX_ONNXRUNTIME", strings.TrimSpace(call("runtime", "path").stdout))
	ownCache(t)
	images, base := drawn(t, 20), t.TempDir()
	if o := call("models", "add", backbone, "--name", "mine"); o.code != 0 {
		t.Fatal(o)
	}
	for _, model := range []string{backbone, "resnet8_std", "mine"} {
		out := filepath.Join(base, filepath.Base(model))
		if o := call("featurize", "-m", model, "-d", images, "-o", out, "-q"); o.code != 0 {
			t.Fatal(o)
		}
		sameFiles(t, out, filepath.Join(base, filepath.Base(backbone)))
	}
	// A file wins over a name.
	t.Chdir(t.TempDir())
	os.WriteFile("mine", []byte("<html>"), 0o666)
	if o := call("inspect", "mine"); o.code != 65 || !strings.Contains(o.stderr, "HTML") {
		t.Errorf("%+v", o)
	}
}

// TestModelsProxy fetches through what the environment names.
func TestModelsProxy(t *testing.T) {
	ownCache(t)
	content := checkpoint(t, 1000)
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		w.Write(content)
	}))
	defer proxy.Close()
	cmd := command(t, "models", "get", released, "--from", "http://models.invalid/a/")
	cmd.Env = append(os.Environ(), "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	if o := finish(t, cmd); o.code != 0 || asked.Load() != "http://models.invalid/a/"+released+".ckpt" {
		t.Errorf("%+v asked for %v", o, asked.Load())
	}
}

// TestModelsRemove removes what was added and fetched, and nothing where one of the
// names cannot be removed.
func TestModelsRemove(t *testing.T) {
	dir := ownCache(t)
	file := write(t, "net.ckpt", string(checkpoint(t, 1000)))
	address, _ := mirror(t, checkpoint(t, 3000), 0)
	for _, args := range [][]string{{"add", file, "--name", "mine"}, {"add", file, "--name", "other"}, {"get", released, "--from", address}} {
		if o := call(append([]string{"models"}, args...)...); o.code != 0 {
			t.Fatal(o)
		}
	}
	part := filepath.Join(dir, ".resnet50_l2_eps3.ckpt.part")
	os.WriteFile(part, make([]byte, 500), 0o666)
	left := func() string {
		var names []string
		files, _ := os.ReadDir(dir)
		for _, f := range files {
			if filepath.Ext(f.Name()) != ".lock" {
				names = append(names, f.Name())
			}
		}
		return strings.Join(names, " ")
	}
	before := left()
	for _, c := range []struct{ args, want, hint string }{
		{"", "no model is named", "rtx models rm NAME"}, {"mine othr", `no model "othr"`, "did you mean other"},
		{"mine resnet8_std", "resnet8_std cannot be removed: it is part of rtx", "rtx models"}, {"mine --overwrite", "unknown flag", ""},
	} {
		o := call(append([]string{"models", "rm"}, strings.Fields(c.args)...)...)
		if o.code != 2 || !strings.Contains(o.stderr, c.want) || !strings.Contains(o.stderr, c.hint) || o.stdout != "" || left() != before {
			t.Errorf("%s: %+v, left %s", c.args, o, left())
		}
	}
	if o := call("models", "rm", "mine"); o.code != 0 || o.stdout != "mine\n" || !strings.Contains(before, "mine.ckpt") || strings.Contains(left(), "mine") {
		t.Errorf("%+v, left %s", o, left())
	}
	if o := call("inspect", "mine"); o.code != 2 || !strings.Contains(o.stderr, `no model "mine"`) {
		t.Errorf("%+v", o)
	}
	o := call("models", "rm", released, "resnet50_l2_eps3", "OTHER", "other", "resnet50_l2_eps5", "--json")
	r := object(t, o.stdout)
	var got []string
	for _, m := range r["models"].([]any) {
		m := m.(map[string]any)
		got = append(got, fmt.Sprint(m["name"], m["added"], m["removed"], m["bytes"].(float64) > 0))
	}
	want := "[" + released + "false true true resnet50_l2_eps3false true true othertrue true true resnet50_l2_eps5false false false]"
	if o.code != 0 || o.stderr != "" || r["schema"] != "rtx.models.rm/1" || r["status"] != "done" || fmt.Sprint(got) != want || left() != "" {
		t.Errorf("%v, want %v; left %q; %+v", got, want, left(), o)
	}
	// A released model keeps its name, and can be fetched again.
	if o := call("models", "get", released, "--from", address); o.code != 0 {
		t.Errorf("%+v", o)
	}
}
