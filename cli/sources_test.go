package cli_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func sameBytes(t *testing.T, a, b string, names ...string) {
	t.Helper()
	for _, name := range names {
		x, err := os.ReadFile(filepath.Join(a, name))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x, y) {
			t.Errorf("%s differs between %s and %s", name, a, b)
		}
	}
}

// packed puts a folder into archives and a list, in the order of a folder.
func packed(t *testing.T, data string) map[string]string {
	t.Helper()
	base := t.TempDir()
	file := func(name string) string { return filepath.Join(base, name) }
	tar := func(name string, flags ...string) {
		args := append([]string{"-C", data, "--sort=name"}, flags...)
		if out, err := exec.Command("tar", append(args, "-cf", file(name), ".")...).CombinedOutput(); err != nil {
			t.Skipf("tar: %v: %s", err, out)
		}
	}
	tar("a.tar")
	tar("a.tar.gz", "-z")
	var archive, list bytes.Buffer
	w := zip.NewWriter(&archive)
	if err := w.AddFS(os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	list.WriteString("path,label\n")
	images, err := filepath.Glob(filepath.Join(data, "*", "*.png"))
	if err != nil || len(images) == 0 {
		t.Fatalf("%d images: %v", len(images), err)
	}
	for _, image := range images {
		path, _ := filepath.Rel(data, image)
		fmt.Fprintf(&list, "%s,%s\n", path, filepath.Base(filepath.Dir(image)))
	}
	for name, b := range map[string][]byte{"a.zip": archive.Bytes(), "a.csv": list.Bytes()} {
		if err := os.WriteFile(file(name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"tar": file("a.tar"), "tar.gz": file("a.tar.gz"), "zip": file("a.zip"), "list": file("a.csv")}
}

// TestSources wants the same features from the same images, wherever they are.
func TestSources(t *testing.T) {
	needLibrary(t)
	data, base := drawn(t, 60), t.TempDir()
	want := filepath.Join(base, "folder")
	if o := call("featurize", "-m", backbone, "-d", data, "-o", want, "-q"); o.code != 0 {
		t.Fatal(o)
	}
	sources := packed(t, data)
	for name, source := range sources {
		out := filepath.Join(base, name)
		args := []string{"featurize", "-m", backbone, "-d", source, "-o", out, "-q"}
		rooted := append(args, "--root", data)
		if name == "list" {
			args = rooted
		} else if o := call(rooted...); o.code != 2 {
			t.Errorf("%s with --root: %+v", name, o)
		}
		if o := call(args...); o.code != 0 {
			t.Fatal(o)
		}
		sameBytes(t, out, want, "features.npy", "labels.npy", "classes.txt")
	}
	stream := filepath.Join(base, "stdin")
	for _, status := range []string{"done", "cached"} {
		cmd := command(t, "featurize", "-m", backbone, "-d", "-", "-o", stream, "--json")
		tar, err := os.Open(sources["tar"])
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = tar
		o := finish(t, cmd)
		tar.Close()
		if r := object(t, o.stdout); o.code != 0 || r["status"] != status || r["samples"] != 60.0 {
			t.Fatalf("%+v", o)
		}
	}
	sameBytes(t, stream, want, "features.npy", "labels.npy", "classes.txt")
}

// TestShards runs four tasks of a Slurm array and merges them.
func TestShards(t *testing.T) {
	needLibrary(t)
	data, base := drawn(t, 60), t.TempDir()
	args := func(out string, more ...string) []string {
		return append([]string{"featurize", "-m", backbone, "-d", data, "-o", out, "--json"}, more...)
	}
	want, out := filepath.Join(base, "want"), filepath.Join(base, "out")
	if o := rtx(t, args(want)...); o.code != 0 {
		t.Fatal(o)
	}
	for i := 1; i <= 4; i++ {
		if o := call("merge", out, "-o", out); o.code != 65 && o.code != 1 {
			t.Errorf("merged %d of 4: %+v", i-1, o)
		}
		cmd := command(t, args(out)...)
		cmd.Env = append(os.Environ(), fmt.Sprint("SLURM_ARRAY_TASK_ID=", i), "SLURM_ARRAY_TASK_COUNT=4", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_STEP=1")
		shard := filepath.Join(out, fmt.Sprintf("shard-%d-of-4", i-1))
		if o := finish(t, cmd); o.code != 0 || object(t, o.stdout)["out"] != shard {
			t.Fatalf("%+v", o)
		}
		if run, err := os.ReadFile(filepath.Join(shard, "run.json")); err != nil || !strings.Contains(string(run), `"shard_from": "SLURM_ARRAY_TASK_ID"`) {
			t.Errorf("run.json does not say where the shard is from: %v %s", err, run)
		}
	}
	for _, status := range []string{"done", "cached"} {
		if o := call("merge", out, "-o", out, "--json"); o.code != 0 || object(t, o.stdout)["status"] != status || object(t, o.stdout)["samples"] != 60.0 {
			t.Fatalf("%+v", o)
		}
	}
	sameFiles(t, out, want)
	if o := rtx(t, args(out)...); o.code != 0 || object(t, o.stdout)["reused"] != 60.0 && object(t, o.stdout)["status"] != "cached" {
		t.Errorf("the merged set cannot be gone on with: %+v", o)
	}
	// A shard of another configuration.
	if o := rtx(t, args(out, "--shard", "3/4", "--overwrite", "-b", "7")...); o.code != 0 {
		t.Fatal(o)
	}
	o := call("merge", out, "-o", filepath.Join(base, "mixed"), "--json")
	if e := object(t, o.stdout); o.code != 65 || !strings.Contains(e["error"].(string), "batch_size") {
		t.Errorf("shards of two configurations: %+v", o)
	}
}

// TestFormats has each kind of file written by the program and merged into npy.
func TestFormats(t *testing.T) {
	needLibrary(t)
	data, base := drawn(t, 20), t.TempDir()
	want := filepath.Join(base, "npy")
	if o := call("featurize", "-m", backbone, "-d", data, "-o", want, "-q"); o.code != 0 {
		t.Fatal(o)
	}
	for _, format := range []string{"npz", "safetensors", "parquet"} {
		out := filepath.Join(base, format)
		for i := range 2 {
			if o := call("featurize", "-m", backbone, "-d", data, "-o", out, "-q", "--format", format, "--shard", fmt.Sprintf("%d/2", i)); o.code != 0 {
				t.Fatal(o)
			}
		}
		if o := call("merge", out, "-o", out, "-q"); o.code != 0 {
			t.Fatal(o)
		}
		if _, err := os.Stat(filepath.Join(out, "features."+format)); err != nil {
			t.Error(err)
		}
		plain := filepath.Join(base, format+"-as-npy")
		if o := call("merge", out, "-o", plain, "-q", "--format", "npy"); o.code != 0 {
			t.Fatal(o)
		}
		sameFiles(t, plain, want)
	}
}
