package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

//go:embed probe.py
var probeScript string

// penalty of the fits that are compared.
const penalty = 1e-2

// probes compares logistic regression on 50,000 rows of 2,048 features and 100
// classes with scikit-learn's, to the same objective, and measures the memory of
// a process that holds the features and fits, in units of the features.
func (b *bench) probes(ctx context.Context) error {
	peer, err := b.peer(ctx, probeScript, "scikit-learn", b.dir, fmt.Sprint(runtime.Cores()))
	if err != nil || peer == nil {
		return err
	}
	defer peer.close()
	own, peak, err := fitApart(ctx, b.dir)
	if err != nil {
		return err
	}
	var seconds, objective float64
	var iterations int
	if _, err := fmt.Fprintln(peer.in, penalty, own.Objective); err != nil {
		return err
	}
	if _, err := fmt.Fscanln(peer.out, &seconds, &objective, &iterations); err != nil {
		return err
	}
	b.rows = append(b.rows,
		row{fmt.Sprintf("probe, 50,000 x 2,048, 100 classes, lambda %v", penalty), fmt.Sprintf("%.1f s", own.Seconds), fmt.Sprintf("%.1f s, scikit-learn's lbfgs", seconds), seconds / own.Seconds, ">= 1.5"},
		row{"the same, peak resident memory", fmt.Sprintf("%.0f MB", peak/1e6), fmt.Sprintf("%.0f MB, the features", own.Bytes/1e6), peak / own.Bytes, "<= 1.5"})
	b.notes = append(b.notes, fmt.Sprintf("  probe: objective %.6f after %d iterations and %d passes, standardisation included; scikit-learn %.6f after %d, of standardised features; %s",
		own.Objective, own.Iterations, own.Evaluations, objective, iterations, peer.about))
	return nil
}

// fitted is what a fitting process prints.
type fitted struct {
	probe.Report
	Seconds float64 // of the fit
	Bytes   float64 // of the features
}

// fitApart fits in a process of its own, and returns its peak resident memory in
// bytes.
func fitApart(ctx context.Context, dir string) (f fitted, peak float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return f, 0, err
	}
	cmd := exec.CommandContext(ctx, self, "-fit", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return f, 0, err
	}
	peak, err = resident(cmd.ProcessState.SysUsage())
	if err != nil {
		return f, 0, err
	}
	return f, peak, json.Unmarshal(out, &f)
}

// fit is that process: it fits x.npy and y.npy, and prints the result.
func fit(ctx context.Context, dir string) error {
	s, err := featurize.OpenArrays(filepath.Join(dir, "x.npy"), filepath.Join(dir, "y.npy"))
	if err != nil {
		return err
	}
	defer s.Close()
	d := probe.Data{N: s.Len(), D: s.Dims[0], X: make([]float32, s.Len()*s.Dims[0]), Classes: s.Classes}
	if err := s.Read(d.X, 0); err != nil {
		return err
	}
	for _, y := range s.Labels {
		d.Y = append(d.Y, int(y))
	}
	lib, err := runtime.Find("")
	if err != nil {
		return err
	}
	p, err := runtime.NewProducts(runtime.Options{Library: lib})
	if err != nil {
		return err
	}
	defer p.Close()
	start := time.Now()
	set, err := probe.NewSet(d, p)
	if err != nil {
		return err
	}
	_, r, err := probe.Fit(ctx, set, nil, probe.Setting{Lambda: penalty}, probe.Config{})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(fitted{r, time.Since(start).Seconds(), float64(4 * len(d.X))})
}
