package featurize_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
)

// shards computes the shards of a folder of images, and returns their folder.
func shards(t *testing.T, data string, n int, change func(i int, j *featurize.Job)) string {
	t.Helper()
	out := t.TempDir()
	for i := range n {
		shard := featurize.Shard{Index: i, Count: n}
		j := job(t, data, filepath.Join(out, shard.Dir()), &sums{})
		j.Listing.Take(shard)
		if change != nil {
			change(i, j)
		}
		mustRun(t, j)
	}
	return out
}

func merge(t *testing.T, out string, dirs ...string) (*featurize.Summary, error) {
	t.Helper()
	m := &featurize.Merge{Dirs: dirs, Out: out}
	return m.Run(t.Context())
}

func TestMerge(t *testing.T) {
	data := dataset(t, 23)
	os.WriteFile(filepath.Join(data, "a", "broken.png"), []byte("no image"), 0o666)
	whole := t.TempDir()
	j := job(t, data, whole, &sums{})
	mustRun(t, j)
	for _, n := range []int{1, 4, 40} { // 40: some are empty
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			out := shards(t, data, n, nil)
			s, err := merge(t, out, out) // into the folder of the shards
			if err != nil || s.Samples != 23 || s.Skipped != 1 || s.Status != "done" {
				t.Fatalf("%+v, %v", s, err)
			}
			sameSet(t, set(t, out), set(t, whole))
			if s, err = merge(t, out, out); err != nil || s.Status != "cached" {
				t.Errorf("again: %+v, %v", s, err)
			}
			// A job can continue the merged set like any other.
			net := &sums{}
			j := job(t, data, out, net)
			if s := mustRun(t, j); s.Status != "cached" || net.runs != 0 {
				t.Errorf("gone on with: %+v", s)
			}
		})
	}
}

// TestShardsStay checks that adding images leaves the others in their shards.
func TestShardsStay(t *testing.T) {
	data := dataset(t, 30)
	out := shards(t, data, 3, nil)
	writeImage(t, filepath.Join(data, "a", "000.png"), 99)
	computed := 0
	for i := range 3 {
		shard := featurize.Shard{Index: i, Count: 3}
		j := job(t, data, filepath.Join(out, shard.Dir()), &sums{})
		j.Listing.Take(shard)
		computed += mustRun(t, j).New
	}
	if computed != 1 {
		t.Errorf("%d rows computed for one image more", computed)
	}
	if _, err := merge(t, t.TempDir(), out); err != nil {
		t.Error(err)
	}
}

// TestMergeProvenance checks that the run.json of a merged set says what those of the
// shards say.
func TestMergeProvenance(t *testing.T) {
	data := dataset(t, 12)
	os.WriteFile(filepath.Join(data, "a", "broken.png"), []byte("no image"), 0o666)
	model := output.ModelFile{File: "sums.onnx", SHA256: "5035"}
	out := shards(t, data, 3, func(i int, j *featurize.Job) {
		j.Describe = func(p *featurize.Provenance) {
			p.Model, p.Data, p.ResolvedSpec.Arch = model, data, "sums"
			p.Warnings = []string{"all", "shard " + strconv.Itoa(i)}
			p.DecoderWarnings = map[string]int{"odd": i}
		}
	})
	m := &featurize.Merge{Dirs: []string{out}, Out: out, Describe: func(p *featurize.Provenance) { p.Version = "1" }}
	if _, err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := featurize.ReadProvenance(out)
	if err != nil {
		t.Fatal(err)
	}
	want := featurize.Counts{Samples: 12, Skipped: 1, New: 12, Classes: 3}
	if p.Verb != "merge" || p.Model != model || p.Data != data || p.ResolvedSpec.Arch != "sums" || p.Version != "1" || p.Counts != want ||
		!slices.Equal(p.Warnings, []string{"all", "shard 0", "shard 1", "shard 2"}) || p.DecoderWarnings["odd"] != 3 || !slices.Equal(p.Shards, []string{out}) {
		t.Errorf("%+v", p)
	}
	// A set that was merged when run.json did not name the model is written anew.
	file := filepath.Join(out, "run.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(file, bytes.Replace(text, []byte(`"model": {`), []byte(`"was": {`), 1), 0o666)
	for _, status := range []string{"done", "cached"} {
		if s, err := m.Run(t.Context()); err != nil || s.Status != status {
			t.Errorf("%+v, %v, want %s", s, err, status)
		}
	}
}

// TestMergeAgain merges again after a shard was computed anew, for an image that changed
// and kept its size, and after the merged set lost a file.
func TestMergeAgain(t *testing.T) {
	data := dataset(t, 9)
	out := t.TempDir()
	file := filepath.Join(data, "a", "100.png")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(file, make([]byte, len(good)), 0o666)
	compute := func() {
		for i := range 2 {
			shard := featurize.Shard{Index: i, Count: 2}
			j := job(t, data, filepath.Join(out, shard.Dir()), &sums{})
			j.Listing.Take(shard)
			mustRun(t, j)
		}
	}
	compute()
	if s, err := merge(t, out, out); err != nil || s.Samples != 8 {
		t.Fatalf("%+v, %v", s, err)
	}
	writeImage(t, file, 0)
	compute()
	if s, err := merge(t, out, out); err != nil || s.Status != "done" || s.Samples != 9 {
		t.Errorf("an image is good again: %+v, %v", s, err)
	}
	whole := t.TempDir()
	j := job(t, data, whole, &sums{})
	mustRun(t, j)
	sameSet(t, set(t, out), set(t, whole))
	os.Remove(filepath.Join(out, "labels.npy"))
	if s, err := merge(t, out, out); err != nil || s.Status != "done" {
		t.Errorf("a file is gone: %+v, %v", s, err)
	}
	sameSet(t, set(t, out), set(t, whole))
}

func TestMergeRefuses(t *testing.T) {
	data := dataset(t, 12)
	longer := dataset(t, 13)
	for _, c := range []struct {
		name string
		make func(t *testing.T) []string
		want string
	}{
		{"another model", func(t *testing.T) []string {
			return []string{shards(t, data, 3, func(i int, j *featurize.Job) {
				if i == 2 {
					j.Settings.Model = "other"
				}
			})}
		}, "model is sums there and other here"},
		{"another listing", func(t *testing.T) []string {
			return []string{filepath.Join(shards(t, data, 2, nil), "shard-0-of-2"), filepath.Join(shards(t, longer, 2, nil), "shard-1-of-2")}
		}, "12 and 13 samples"},
		{"missing in the middle", func(t *testing.T) []string {
			out := shards(t, data, 3, nil)
			os.RemoveAll(filepath.Join(out, "shard-1-of-3"))
			return []string{out}
		}, "shard 1 of 3 is missing"},
		{"missing at the end", func(t *testing.T) []string {
			return []string{filepath.Join(shards(t, data, 3, nil), "shard-0-of-3")}
		}, "shard 1 of 3 is missing"},
		{"twice", func(t *testing.T) []string {
			out := shards(t, data, 2, nil)
			return []string{out, filepath.Join(out, "shard-0-of-2")}
		}, "are both shard 0"},
		{"not finished", func(t *testing.T) []string {
			out := shards(t, data, 2, nil)
			os.Remove(filepath.Join(out, "shard-1-of-2", "run.json"))
			return []string{out}
		}, "not finished"},
		{"another count", func(t *testing.T) []string {
			return []string{filepath.Join(shards(t, data, 2, nil), "shard-0-of-2"), filepath.Join(shards(t, data, 3, nil), "shard-1-of-3")}
		}, "one of 2 shards"},
		{"a whole set", func(t *testing.T) []string {
			out := t.TempDir()
			j := job(t, data, out, &sums{})
			mustRun(t, j)
			return []string{out}
		}, "no shard but a whole"},
		{"cut features", func(t *testing.T) []string {
			out := shards(t, data, 2, nil)
			os.Truncate(filepath.Join(out, "shard-1-of-2", "features.npy"), 140)
			return []string{out}
		}, "shape ["},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := t.TempDir()
			_, err := merge(t, out, c.make(t)...)
			if !errors.Is(err, featurize.ErrData) && !errors.Is(err, featurize.ErrFormat) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if left, _ := os.ReadDir(out); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// TestMergeOutput checks which folders a merge refuses, and which it overwrites.
func TestMergeOutput(t *testing.T) {
	data := dataset(t, 12)
	out := shards(t, data, 2, nil)
	run := func(to string, overwrite bool) error {
		m := &featurize.Merge{Dirs: []string{out}, Out: to, Overwrite: overwrite}
		_, err := m.Run(t.Context())
		return err
	}
	shard := filepath.Join(out, "shard-0-of-2")
	want := set(t, shard)
	for _, overwrite := range []bool{false, true} {
		if err := run(shard, overwrite); !errors.Is(err, output.ErrConfig) || !strings.Contains(err.Error(), "one of the shards") {
			t.Errorf("into a shard: %v", err)
		}
	}
	sameSet(t, set(t, shard), want)

	foreign := tree(t, "thesis.tex")
	if err := run(foreign, false); !errors.Is(err, output.ErrConfig) {
		t.Errorf("into a folder of other things: %v", err)
	}
	if err := run(foreign, true); err != nil {
		t.Errorf("beside other things: %v", err)
	}
	if _, err := os.Stat(filepath.Join(foreign, "thesis.tex")); err != nil {
		t.Errorf("overwrite removed a file that is not ours: %v", err)
	}

	// A shard that is being written is not read.
	j := job(t, data, shard, &sums{before: func(int) error {
		if err := run(t.TempDir(), false); !errors.Is(err, output.ErrLocked) {
			t.Errorf("a shard under way: %v", err)
		}
		return nil
	}})
	j.Listing.Take(featurize.Shard{Index: 0, Count: 2})
	j.Overwrite = true
	mustRun(t, j)
}

// TestMergeOtherImages checks that a merge does not replace the features of other
// images unasked, whether their job is finished or not.
func TestMergeOtherImages(t *testing.T) {
	out := shards(t, dataset(t, 12), 2, nil)
	others := t.TempDir()
	for i := range 9 {
		writeImage(t, filepath.Join(others, "x", strconv.Itoa(i)+".png"), i)
	}
	for name, last := range map[string]int{"finished": 3, "unfinished": 1} {
		to := t.TempDir()
		stop := errors.New("stop")
		_, err := job(t, others, to, &sums{before: func(run int) error {
			if run > last {
				return stop
			}
			return nil
		}}).Run(t.Context())
		if (err == nil) != (last == 3) {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := merge(t, to, out); !errors.Is(err, output.ErrConfig) || !strings.Contains(err.Error(), "none of its") {
			t.Errorf("%s: %v", name, err)
		}
		if s := mustRun(t, job(t, others, to, &sums{})); s.Reused < 4 {
			t.Errorf("%s: %d features are left", name, s.Reused)
		}
		m := &featurize.Merge{Dirs: []string{out}, Out: to, Overwrite: true}
		if s, err := m.Run(t.Context()); err != nil || s.Samples != 12 {
			t.Errorf("%s, overwritten: %+v, %v", name, s, err)
		}
	}
}

func TestParseShard(t *testing.T) {
	if s, err := featurize.ParseShard("2/4"); err != nil || s != (featurize.Shard{Index: 2, Count: 4}) || s.Dir() != "shard-2-of-4" {
		t.Errorf("%v, %v", s, err)
	}
	for _, bad := range []string{"", "1", "4/4", "-1/4", "1/0", "a/b", "1/2/3"} {
		if _, err := featurize.ParseShard(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
