package featurize_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

const side, rowSize, batchSize = 8, 3, 4

// sums is a network whose features are the sums over the pixels of each channel.
type sums struct {
	runs   int
	before func(run int) error // called before every run
}

func (s *sums) Run(_ context.Context, n int, src []uint8, dst ...[]float32) error {
	s.runs++
	if s.before != nil {
		if err := s.before(s.runs); err != nil {
			return err
		}
	}
	if n != batchSize || len(src) != n*side*side*3 {
		return errors.New("not a whole batch")
	}
	clear(dst[0])
	for i, v := range src {
		dst[0][i/(side*side*3)*rowSize+i%3] += float32(v)
	}
	return nil
}

// writeImage writes an image that depends on its number alone.
func writeImage(t testing.TB, file string, number int) {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 11+number%3, 9))
	r := rand.New(rand.NewPCG(uint64(number), 1))
	for i := range m.Pix {
		m.Pix[i] = uint8(r.Uint32())
	}
	m.Set(0, 0, color.White)
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	old := time.Unix(int64(1e9+number), 0)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
}

func dataset(t *testing.T, n int) string {
	root := t.TempDir()
	for i := range n {
		writeImage(t, filepath.Join(root, string(rune('a'+i%3)), strconv.Itoa(100+i)+".png"), i)
	}
	return root
}

// job prepares a job that computes the features of data with net.
func job(t *testing.T, data, out string, net *sums) *featurize.Job {
	t.Helper()
	l, err := featurize.Folder(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	return &featurize.Job{
		Out: out, Listing: l, RowDims: []int{rowSize}, Settings: featurize.Settings{Computation: featurize.Computation{Model: "sums", BatchSize: batchSize}},
		Open: opener(net),
	}
}

func opener(net *sums) func(context.Context) (*featurize.Extractor, error) {
	return func(context.Context) (*featurize.Extractor, error) {
		g := pixels.Geometry{Width: side, Height: side, Interpolation: pixels.Bilinear}
		return &featurize.Extractor{Network: net, Transform: featurize.Transform{Geometry: g}, BatchSize: batchSize, Workers: 3}, nil
	}
}

// set reads the compared files of a feature set; of run.json what does not differ
// from time to time.
func set(t *testing.T, out string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"features.npy", "labels.npy", "classes.txt", "manifest.jsonl", "run.json"} {
		b, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	files["run.json"] = described(t, out)
	return files
}

// described is what run.json says of a set, but for times and counts.
func described(t *testing.T, out string) string {
	t.Helper()
	p, err := featurize.ReadProvenance(out)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(p.Config, p.Listing, p.Shard)
}

func mustRun(t *testing.T, j *featurize.Job) *featurize.Summary {
	t.Helper()
	s, err := j.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sameSet(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs:\n%.300q\nwant\n%.300q", name, got[name], want[name])
		}
	}
}

func TestJob(t *testing.T) {
	data, out := dataset(t, 18), t.TempDir()
	os.WriteFile(filepath.Join(data, "a", "101.png"), []byte("no image"), 0o666)
	os.Symlink("nowhere", filepath.Join(data, "b", "999.png"))
	s := mustRun(t, job(t, data, out, &sums{}))
	if s.Status != "done" || s.Samples != 18 || s.New != 18 || s.Skipped != 2 || s.Reused != 0 {
		t.Errorf("summary %+v", s)
	}
	files := set(t, out)
	if want := "a\nb\nc\n"; files["classes.txt"] != want {
		t.Errorf("classes.txt %q", files["classes.txt"])
	}
	if n := len(files["features.npy"]); n != 128+18*rowSize*4 {
		t.Errorf("features.npy has %d bytes", n)
	}
	if !strings.Contains(files["features.npy"][:128], "'descr': '<f4', 'fortran_order': False, 'shape': (18, 3)") {
		t.Errorf("header %q", files["features.npy"][:128])
	}
	row := 0
	for i, line := range strings.Split(strings.TrimSpace(files["manifest.jsonl"]), "\n") {
		var m struct {
			Row         *int
			Path, Error string
			Label       int
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		failed := strings.HasSuffix(m.Path, "a/101.png") || strings.HasSuffix(m.Path, "999.png")
		if failed != (m.Row == nil) || failed != (m.Error != "") {
			t.Errorf("line %d: %s", i, line)
		}
		if m.Row != nil {
			if *m.Row != row {
				t.Errorf("line %d: row %d, want %d", i, *m.Row, row)
			}
			if l := files["labels.npy"][128+8*row]; int(l) != m.Label || l != m.Path[0]-'a' {
				t.Errorf("row %d: label %d in labels.npy, %d in the manifest", row, l, m.Label)
			}
			row++
		}
	}

	// Again: only files that could not be read are tried, and nothing is computed.
	os.Remove(filepath.Join(data, "b", "999.png"))
	mustRun(t, job(t, data, out, &sums{}))
	net := &sums{}
	if s := mustRun(t, job(t, data, out, net)); s.Status != "cached" || s.Samples != 18 || s.Skipped != 1 || net.runs != 0 {
		t.Errorf("second run: %+v, %d runs", s, net.runs)
	}
}

// TestJobPlain runs a job that adds nothing to the set: its folder says by itself
// that it is done.
func TestJobPlain(t *testing.T) {
	data, out := dataset(t, 6), t.TempDir()
	for _, want := range []string{"done", "cached"} {
		if s := mustRun(t, job(t, data, out, &sums{})); s.Status != want {
			t.Errorf("%+v, want it %s", s, want)
		}
	}
}

func TestJobChangedData(t *testing.T) {
	data, out := dataset(t, 21), t.TempDir()
	mustRun(t, job(t, data, out, &sums{}))
	os.Remove(filepath.Join(data, "a", "100.png"))
	os.Remove(filepath.Join(data, "c", "111.png"))
	writeImage(t, filepath.Join(data, "b", "000.png"), 50)
	writeImage(t, filepath.Join(data, "d", "new.png"), 51)
	writeImage(t, filepath.Join(data, "a", "103.png"), 52) // changed
	s := mustRun(t, job(t, data, out, &sums{}))
	if s.Reused != 18 || s.New != 3 || s.Status != "done" {
		t.Errorf("summary %+v", s)
	}
	fresh := t.TempDir()
	mustRun(t, job(t, data, fresh, &sums{}))
	sameSet(t, set(t, out), set(t, fresh))
	if s := mustRun(t, job(t, data, out, &sums{})); s.Status != "cached" {
		t.Errorf("third run: %+v", s)
	}

	// A file with another time but the same contents is computed anew without Verify,
	// and reused with it.
	file, now := filepath.Join(data, "d", "new.png"), time.Now()
	os.Chtimes(file, now, now)
	j := job(t, data, out, &sums{})
	j.Verify = true
	if s := mustRun(t, j); s.New != 0 {
		t.Errorf("verified: %+v", s)
	}
	// A file with other contents but the same size and time.
	info, _ := os.Stat(file)
	b, _ := os.ReadFile(file)
	b[len(b)-20] ^= 1
	os.WriteFile(file, b, 0o666)
	os.Chtimes(file, info.ModTime(), info.ModTime())
	// An interrupted job does not report success.
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	j = job(t, data, out, &sums{})
	j.Verify = true
	if s, err := j.Run(stopped); !errors.Is(err, context.Canceled) || s.Status != "interrupted" {
		t.Errorf("interrupted under Verify: %+v, %v", s, err)
	}
	j = job(t, data, out, &sums{})
	j.Verify = true
	if s := mustRun(t, j); s.Status != "done" || s.Skipped+s.New != 1 {
		t.Errorf("changed under Verify: %+v", s)
	}
}

// TestJobVerifyStream compares the contents of a stream, which can be read only once.
func TestJobVerifyStream(t *testing.T) {
	data, out, want := dataset(t, 6), t.TempDir(), t.TempDir()
	stream := func(to string) *featurize.Summary {
		var err error
		j := job(t, data, to, &sums{})
		archive := bytes.NewReader(tarOf(t, members(t, data, "")...))
		if j.Listing, err = featurize.Source(t.Context(), "-", featurize.SourceConfig{Stdin: archive}); err != nil {
			t.Fatal(err)
		}
		j.Verify = true
		return mustRun(t, j)
	}
	stream(out)
	if s := stream(out); s.Status != "cached" || s.Reused != 6 {
		t.Errorf("the same: %+v", s)
	}
	writeImage(t, filepath.Join(data, "a", "100.png"), 90)
	if s := stream(out); s.New != 1 || s.Reused != 5 || s.Skipped != 0 {
		t.Errorf("one is another: %+v", s)
	}
	stream(want)
	sameSet(t, set(t, out), set(t, want))
}

// TestJobInterrupted interrupts a job in every batch and resumes it.
func TestJobInterrupted(t *testing.T) {
	data, want := dataset(t, 21), t.TempDir()
	os.MkdirAll(filepath.Join(data, "z"), 0o777)
	os.WriteFile(filepath.Join(data, "z", "broken.png"), []byte("no image"), 0o666) // comes last, in batch 6
	mustRun(t, job(t, data, want, &sums{}))
	stop := errors.New("stopped")
	for at := 1; at <= 6; at++ {
		out := t.TempDir()
		ctx, cancel := context.WithCancelCause(t.Context())
		s, err := job(t, data, out, &sums{before: func(run int) error {
			if run == at {
				cancel(stop)
			}
			return nil
		}}).Run(ctx)
		if !errors.Is(err, stop) || s.Status != "interrupted" || s.Samples != s.New || s.New < min(at*batchSize, 21) || s.New > 21 {
			t.Errorf("batch %d: %v %+v", at, err, s)
		}
		if _, err := featurize.OpenSet(out); !errors.Is(err, featurize.ErrUnfinished) {
			t.Errorf("batch %d: the interrupted set opens with %v", at, err)
		}
		net := &sums{}
		s = mustRun(t, job(t, data, out, net))
		if s.Reused < at*batchSize && at < 6 {
			t.Errorf("batch %d: only %d rows were kept", at, s.Reused)
		}
		sameSet(t, set(t, out), set(t, want))
	}
	boom := errors.New("boom")
	out := t.TempDir()
	if _, err := job(t, data, out, &sums{before: func(run int) error {
		if run == 3 {
			return boom
		}
		return nil
	}}).Run(t.Context()); !errors.Is(err, boom) {
		t.Errorf("failing network: %v", err)
	}
	if s := mustRun(t, job(t, data, out, &sums{})); s.Reused != 2*batchSize {
		t.Errorf("after a failing network: %+v", s)
	}
	sameSet(t, set(t, out), set(t, want))
}

// TestJobCutOff truncates the files of an interrupted job anywhere, as a power failure
// or a full disk may, and checks that the next run gives the same set.
func TestJobCutOff(t *testing.T) {
	data, want := dataset(t, 21), t.TempDir()
	os.MkdirAll(filepath.Join(data, "z"), 0o777)
	os.WriteFile(filepath.Join(data, "z", "broken.png"), []byte("no image"), 0o666) // comes last, in batch 6
	mustRun(t, job(t, data, want, &sums{}))
	stop := errors.New("stopped")
	r := rand.New(rand.NewPCG(7, 7))
	for range 40 {
		out := t.TempDir()
		job(t, data, out, &sums{before: func(run int) error {
			if run == 4 {
				return stop
			}
			return nil
		}}).Run(t.Context())
		for _, name := range []string{"part.f32", "part.jsonl"} {
			file := filepath.Join(out, ".rtx", name)
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			os.Truncate(file, r.Int64N(info.Size()+1))
		}
		if r.IntN(2) == 0 { // a block that a power cut left empty
			rows, err := os.OpenFile(filepath.Join(out, ".rtx", "part.f32"), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if info, err := rows.Stat(); err == nil && info.Size() > 140 {
				rows.WriteAt(make([]byte, 12), 128+r.Int64N(info.Size()-140))
			}
			rows.Close()
		}
		mustRun(t, job(t, data, out, &sums{}))
		sameSet(t, set(t, out), set(t, want))
	}
}

// TestJobCommit stops between any two renames of a commit.
func TestJobCommit(t *testing.T) {
	data, out := dataset(t, 10), t.TempDir()
	mustRun(t, job(t, data, out, &sums{}))
	want := set(t, out)
	names := append(slices.Sorted(maps.Keys(want)), "index.jsonl")
	for moved := range len(names) + 1 {
		commit := filepath.Join(out, ".rtx", "commit")
		os.Mkdir(commit, 0o777)
		for _, name := range names[moved:] {
			from := filepath.Join(out, name)
			if name == "index.jsonl" {
				from = filepath.Join(out, ".rtx", name)
			}
			if err := os.Rename(from, filepath.Join(commit, name)); err != nil {
				t.Fatal(err)
			}
		}
		if s := mustRun(t, job(t, data, out, &sums{})); s.Status != "cached" {
			t.Errorf("%d moved: %+v", moved, s)
		}
		sameSet(t, set(t, out), want)
	}
}

func TestJobRefuses(t *testing.T) {
	data, out := dataset(t, 6), t.TempDir()
	mustRun(t, job(t, data, out, &sums{}))
	want := set(t, out)

	other := job(t, data, out, &sums{})
	other.Settings.Model = "other"
	if _, err := other.Run(t.Context()); !errors.Is(err, output.ErrConfig) || !strings.Contains(err.Error(), "model is sums there and other here") || strings.Contains(err.Error(), "batch_size") {
		t.Errorf("another configuration: %v", err)
	}
	elsewhere := t.TempDir()
	writeImage(t, filepath.Join(elsewhere, "z", "1.png"), 1)
	if _, err := job(t, elsewhere, out, &sums{}).Run(t.Context()); !errors.Is(err, output.ErrConfig) {
		t.Errorf("other data: %v", err)
	}
	foreign := tree(t, "thesis.tex")
	if _, err := job(t, data, foreign, &sums{}).Run(t.Context()); !errors.Is(err, output.ErrConfig) || !strings.Contains(err.Error(), "thesis.tex") {
		t.Errorf("a folder of other things: %v", err)
	}
	sameSet(t, set(t, out), want)

	over := job(t, data, foreign, &sums{})
	over.Overwrite = true
	mustRun(t, over)
	if _, err := os.Stat(filepath.Join(foreign, "thesis.tex")); err != nil {
		t.Errorf("overwrite removed a file that is not ours: %v", err)
	}
	// So does one whose record of the configuration is damaged.
	os.WriteFile(filepath.Join(foreign, ".rtx", "config.json"), nil, 0o666)
	if _, err := job(t, data, foreign, &sums{}).Run(t.Context()); !errors.Is(err, output.ErrConfig) || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("a damaged configuration: %v", err)
	}
	if s := mustRun(t, over); s.New != 6 {
		t.Errorf("overwritten: %+v", s)
	}
	other.Overwrite = true
	if s := mustRun(t, other); s.New != 6 {
		t.Errorf("overwritten: %+v", s)
	}

	entered := make(chan struct{})
	leave := make(chan struct{})
	busy := t.TempDir()
	slow := job(t, data, busy, &sums{before: func(run int) error {
		if run == 1 {
			close(entered)
			<-leave
		}
		return nil
	}})
	done := make(chan error)
	go func() { _, err := slow.Run(t.Context()); done <- err }()
	<-entered
	if _, err := job(t, data, busy, &sums{}).Run(t.Context()); !errors.Is(err, output.ErrLocked) {
		t.Errorf("a locked output: %v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestJobBadImages(t *testing.T) {
	data := dataset(t, 6)
	bad := filepath.Join(data, "b", "bad.png")
	os.WriteFile(bad, []byte("<html>"), 0o666)

	fast := job(t, data, t.TempDir(), &sums{})
	fast.FailFast = true
	if _, err := fast.Run(t.Context()); !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), "b/bad.png") {
		t.Errorf("fail fast: %v", err)
	}
	limit := job(t, data, t.TempDir(), &sums{})
	limit.LimitSkipped, limit.MaxSkipped = true, 0.01
	if _, err := limit.Run(t.Context()); !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), "1 of 7") {
		t.Errorf("limit: %v", err)
	}
	limit.MaxSkipped = 0.2
	if s := mustRun(t, limit); s.Reused != 6 || !reflect.DeepEqual([]string{s.Failed[0].Path}, []string{"b/bad.png"}) {
		t.Errorf("a wider limit: %+v", s)
	}
	// The limits apply to a finished set too.
	limit.MaxSkipped = 0.1
	if _, err := limit.Run(t.Context()); !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), "1 of 7") {
		t.Errorf("a narrower limit: %v", err)
	}
	limit.LimitSkipped, limit.FailFast = false, true
	if _, err := limit.Run(t.Context()); !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), "b/bad.png") {
		t.Errorf("fail fast, later: %v", err)
	}
	all := tree(t, "a/1.jpg", "a/2.png", "b/3.gif")
	if _, err := job(t, all, t.TempDir(), &sums{}).Run(t.Context()); !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), "none of the 3 images") {
		t.Errorf("nothing decodes: %v", err)
	}
}
