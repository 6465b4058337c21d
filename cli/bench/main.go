// Command bench measures featurize, import, probe, training steps, attacks and detection against
// what bounds them and against Python, each pair in turns in one run, and prints a table.
//
//	make bench PYTHON=python3                  # everything
//	go run ./cli/bench -only import,verify     # some of it
//
// PYTHON is an interpreter that has PyTorch; for detection, masks, detectors, roialign,
// detecttrain and masktrain, which are only measured where they are named, pycocotools,
// faster-coco-eval and torchvision; detecteval needs none, and is only measured where it is
// named.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image/jpeg"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/robust-transfer/rtx/assets/photos"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// row is a line of the table.
type row struct {
	what       string
	ours, peer string
	ratio      float64 // ours over peer
	bar        string
}

// bench holds what the measurements share.
type bench struct {
	dir    string // for images and feature sets
	python string
	rounds int
	lib    runtime.Library
	rows   []row
	notes  []string
}

func main() {
	only := flag.String("only", "import,verify,train,attack,pixels,limit,loader,formats,probe", "what to measure; detection, masks, detectors, roialign, detecteval, detecttrain and masktrain as well")
	python := flag.String("python", "python3", "the interpreter of the peers")
	rounds := flag.Int("rounds", 5, "turns of each pair")
	folder := flag.String("fit", "", "fit x.npy and y.npy of a folder: the process that probe starts")
	network := flag.String("step", "", "train a network: the process that train starts")
	detector := flag.String("detectorstep", "", "train a detector: the process that detecttrain starts")
	victim := flag.String("attack", "", "attack a network: the process that attack starts")
	files := flag.String("files", "", "the folder that -detectorstep reads")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case *folder != "":
		err = fit(ctx, *folder)
	case *network != "":
		err = steps(ctx, *network)
	case *victim != "":
		err = attackTimes(ctx, *victim)
	case *detector != "":
		err = trainDetectorSteps(ctx, *detector, *files)
	default:
		err = run(ctx, strings.Split(*only, ","), *python, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only []string, python string, rounds int) error {
	dir, err := os.MkdirTemp("", "rtx-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, python: python, rounds: rounds}
	if b.lib, err = runtime.Find(""); err != nil {
		return err
	}
	decoder, version := pixels.JPEGDecoder()
	fmt.Printf("%d cores, onnxruntime %s, %s %s\n", runtime.Cores(), b.lib.Version, decoder, version)
	// Imports and training come first: Linux counts what this process has used as
	// the memory of those that it starts.
	for _, m := range []struct {
		name string
		run  func(context.Context) error
	}{{"import", b.imports}, {"verify", b.verifications}, {"train", b.training}, {"attack", b.attacks}, {"detecttrain", b.detectorTraining}, {"masktrain", b.maskTraining}, {"pixels", b.pixels}, {"limit", b.limit}, {"loader", b.loader}, {"formats", b.formats}, {"probe", b.probes}, {"detection", b.detection}, {"masks", b.masks}, {"detectors", b.detectors}, {"roialign", b.roiAlign}, {"detecteval", b.detectorEvaluation}} {
		if !slices.Contains(only, m.name) {
			continue
		}
		if err := m.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\trtx\tpeer or limit\tratio\tbar")
	for _, r := range b.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%.3f\t%s\n", r.what, r.ours, r.peer, r.ratio, r.bar)
	}
	w.Flush()
	for _, n := range b.notes {
		fmt.Println(n)
	}
	return nil
}

// draw writes n JPEGs, quality 90 and 4:2:0, into two class folders.
func (b *bench) draw(name string, n, width, height int) (string, error) {
	root := filepath.Join(b.dir, name)
	var group sync.WaitGroup
	failed := make([]error, runtime.Cores())
	for k := range failed {
		group.Go(func() {
			for i := k; i < n && failed[k] == nil; i += len(failed) {
				failed[k] = drawn(filepath.Join(root, fmt.Sprintf("class%d", i%2), fmt.Sprintf("%05d.jpg", i)), uint64(i), width, height)
			}
		})
	}
	group.Wait()
	for _, err := range failed {
		if err != nil {
			return "", err
		}
	}
	return root, nil
}

func drawn(file string, seed uint64, width, height int) error {
	var content bytes.Buffer
	if err := jpeg.Encode(&content, photos.Draw(seed, width, height), &jpeg.Options{Quality: 90}); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	return os.WriteFile(file, content.Bytes(), 0o666)
}

// median of the measurements of all turns.
func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	if n := len(x); n%2 == 0 {
		return (x[n/2-1] + x[n/2]) / 2
	}
	return x[len(x)/2]
}
