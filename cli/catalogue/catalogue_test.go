package catalogue

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

const (
	released = "resnet18_l2_eps3" // nothing but its name is known of the file
	bundled  = "resnet8_std"
)

func open(t *testing.T, dir string) *Catalogue {
	t.Helper()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// archive is a zip file with n bytes, as PyTorch's are.
func archive(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "archive/data.pkl", Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	w.Write(payload(n))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestNames(t *testing.T) {
	c := open(t, t.TempDir())
	if m := c.Find("RESNET18_l2_EPS3"); m == nil || m.Name != released || m.Added {
		t.Errorf("%+v", m)
	}
	for pattern, want := range map[string]int{"": len(c.Models), "resnet18_l2_eps3": 1, "resnet18_*_eps3": 1, "densenet161": 2, "[": 0, "none": 0} {
		if n := len(c.Match(pattern)); n != want {
			t.Errorf("%q: %d models, want %d", pattern, n, want)
		}
	}
	for name, want := range map[string]bool{"a": true, "a-b+c_1.2": true, "": false, ".a": false, "-a": false, "a/b": false, "a b": false, "a.onnx": false, strings.Repeat("a", 101): false} {
		if ValidName(name) != want {
			t.Errorf("ValidName(%q) is %v", name, !want)
		}
	}
}

func TestLocate(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "new"))
	file, m, err := c.Locate(bundled)
	if err != nil || m.Name != bundled || file != filepath.Join(c.Dir, bundled+".onnx") {
		t.Fatal(file, m, err)
	}
	want, size := c.Digest(m)
	if sum, err := FileSHA256(file); err != nil || sum != want || size != sizeOf(file) {
		t.Errorf("the bundled file has %s (%v), want %s", sum, err, want)
	}
	var missing *MissingError
	if _, _, err := c.Locate(released); !errors.As(err, &missing) || missing.Model.Name != released {
		t.Error(err)
	}
	var unknown *UnknownError
	if _, _, err := c.Locate("resnet18"); !errors.As(err, &unknown) || unknown.Model != nil {
		t.Error(err)
	}
	if _, _, err := c.Locate(released + ".ckpt"); !errors.As(err, &unknown) || unknown.Model.Name != released {
		t.Error(err)
	}
	if file, m, err := c.Locate("mine.ckpt"); file != "mine.ckpt" || m != nil || err != nil {
		t.Error(file, m, err)
	}
	if !IsFile(file) || !IsFile("a/b") || IsFile(released) {
		t.Error("IsFile")
	}
}

func TestGet(t *testing.T) {
	content := archive(t, 3000)
	server := httptest.NewServer(&host{content: content, tag: `"v1"`})
	defer server.Close()
	dir := t.TempDir()
	c := open(t, dir)
	m := c.Find(released)
	var last int64
	o := Options{Progress: func(done, _ int64) { last = done }}
	if fetched, err := c.Get(context.Background(), m, server.URL+"/mirror?key=1", o); err != nil || !fetched || last != int64(len(content)) {
		t.Fatal(fetched, err, last)
	}
	got, err := os.ReadFile(c.Path(m))
	if err != nil || !bytes.Equal(got, content) {
		t.Fatal(err)
	}
	// Another process finds it there, and where it came from.
	again := open(t, dir)
	m = again.Find(released)
	if r := m.Kept; r == nil || strings.Contains(r.Source, "key") || r.Verified != "" || r.Model.Size != int64(len(content)) {
		t.Errorf("%+v", m.Kept)
	}
	if fetched, err := again.Get(context.Background(), m, "", Options{}); fetched || err != nil {
		t.Error(fetched, err)
	}
	if file, _, err := again.Locate(released); err != nil || file != again.Path(m) {
		t.Error(file, err)
	}
	// A folder without it, and a file that is something else.
	other := open(t, t.TempDir())
	if _, err := other.Get(context.Background(), other.Find(released), t.TempDir(), Options{}); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if _, err := other.Get(context.Background(), other.Find(released), write(t, "a.ckpt", []byte("text")), Options{}); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	cancel(why)
	if _, err := other.Get(ctx, other.Find(released), write(t, "a.ckpt", content), Options{}); !errors.Is(err, why) {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(other.Dir, "*.ckpt")); left != nil {
		t.Errorf("left: %v", left)
	}
}

// TestGetWaits gets a model that another process is getting.
func TestGetWaits(t *testing.T) {
	c := open(t, t.TempDir())
	unlock, err := c.lock(context.Background(), released, nil)
	if err != nil {
		t.Fatal(err)
	}
	file, waited := write(t, "a.ckpt", archive(t, 10)), 0
	fetched, err := c.Get(context.Background(), c.Find(released), file, Options{Waiting: func() { waited++; unlock() }})
	if !fetched || err != nil || waited != 1 {
		t.Error(fetched, err, waited)
	}
}

func TestAdd(t *testing.T) {
	dir := t.TempDir()
	data, err := assets.Backbones.ReadFile("backbones/" + bundled + ".onnx")
	if err != nil {
		t.Fatal(err)
	}
	network, weights := write(t, "net.onnx", data), write(t, "net.ckpt", archive(t, 100))
	add := func(name, file string, overwrite bool) (*Model, bool, error) {
		c := open(t, dir)
		return c.Add(context.Background(), assets.Checkpoint{Name: name, File: name + filepath.Ext(file)}, file, Options{Overwrite: overwrite})
	}
	if m, added, err := add("mine", network, false); err != nil || !added || m.Kept.Model.SHA256 == "" || !m.Added {
		t.Fatal(m, added, err)
	}
	if _, added, err := add("mine", network, false); err != nil || added {
		t.Error(added, err)
	}
	for _, c := range []struct {
		name, file string
		want       string
	}{
		{"mine", weights, "another file"}, {"MINE", weights, "another file"}, {released, weights, "released"}, {bundled, weights, "bundled"},
	} {
		var taken *TakenError
		if _, _, err := add(c.name, c.file, false); !errors.As(err, &taken) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, added, err := add(bundled, network, false); err != nil || added { // it is this very file
		t.Error(added, err)
	}
	if _, added, err := add("mine", weights, true); err != nil || !added {
		t.Error(added, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mine.onnx")); err == nil {
		t.Error("the file that was replaced is still there")
	}
	c := open(t, dir)
	os.Remove(c.Path(c.Find("mine")))
	var missing *MissingError
	if _, err := c.Get(context.Background(), c.Find("mine"), "", Options{}); !errors.As(err, &missing) || !strings.Contains(err.Error(), "net.ckpt") {
		t.Error(err)
	}
}

func TestDescribe(t *testing.T) {
	data, err := assets.Backbones.ReadFile("backbones/resnet8_l2_eps0.25.onnx")
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, "net.onnx", data)
	m, err := Describe(assets.Checkpoint{Name: "net"}, file)
	if err != nil || m.Arch != "resnet8" || m.Norm != "l2" || m.Eps != 0.25 {
		t.Errorf("%+v %v", m, err)
	}
	var claim *checkpoint.ClaimError
	if _, err := Describe(assets.Checkpoint{Name: "net", Arch: "resnet18"}, file); !errors.As(err, &claim) {
		t.Error(err)
	}
	if _, err := Describe(assets.Checkpoint{Name: "net"}, write(t, "a.onnx", []byte("<html>"))); !errors.Is(err, onnx.ErrFormat) {
		t.Error(err)
	}
	if m, err := Describe(assets.Checkpoint{Name: "net", Arch: "resnet18"}, "nowhere.pt"); err != nil || m.Arch != "resnet18" {
		t.Error(m, err)
	}
}

// TestOpenUnreadable passes over files that have the name of a record only.
func TestOpenUnreadable(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"broken": "{", "other": `{"model":{"Name":"mine","File":"mine.onnx"}}`, "outside": `{"model":{"Name":"outside","File":"../x.onnx"},"added":true}`,
	} {
		os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o666)
	}
	if c := open(t, dir); len(c.Unreadable) != 3 || c.Find("outside") != nil {
		t.Errorf("%q", c.Unreadable)
	}
}
