package coco_test

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
)

// TestTIDE compares the kinds of errors, and what they cost, with tidecv.
func TestTIDE(t *testing.T) {
	f, err := os.Open("testdata/tide.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var sets []struct {
		GT   instances
		DT   json.RawMessage
		TIDE struct {
			AP, FP, FN float64
			Delta      map[string]float64
			Count      map[string]int
		}
	}
	if err := json.NewDecoder(z).Decode(&sets); err != nil || len(sets) != 40 {
		t.Fatalf("%d sets: %v", len(sets), err)
	}
	recalls := make([]float64, 101)
	for i := range recalls {
		recalls[i] = float64(i) / 100
	}
	total := [6]int{}
	for i, s := range sets {
		gt := (&set{GT: s.GT}).dataset(t)
		e := evaluated(t, gt, results(t, s.DT, gt), coco.Config{Recalls: recalls})
		k, err := e.ErrorKinds(0.5)
		if err != nil {
			t.Fatal(err)
		}
		same := func(what string, got, want float64) {
			if !(math.Abs(got-want) <= 1e-12) {
				t.Errorf("set %d, %s: got %v, want %v", i, what, got, want)
			}
		}
		same("AP", k.AP, s.TIDE.AP)
		same("AP50", e.Summary().AP50, s.TIDE.AP)
		same("false positives", k.FalsePositive, s.TIDE.FP)
		same("false negatives", k.FalseNegative, s.TIDE.FN)
		for kind := range k.DeltaAP {
			name := coco.ErrorKind(kind).String()
			same(name, k.DeltaAP[kind], s.TIDE.Delta[name])
			if k.Count[kind] != s.TIDE.Count[name] {
				t.Errorf("set %d, %s: %d, want %d", i, name, k.Count[kind], s.TIDE.Count[name])
			}
			total[kind] += k.Count[kind]
		}
		if wrong := len(k.Errors); wrong+k.Count[coco.KindMissed] != sum(k.Count[:]) || len(k.Missed) != k.Count[coco.KindMissed] {
			t.Errorf("set %d: %d errors and %d objects missed are listed, %v counted", i, wrong, len(k.Missed), k.Count)
		}
	}
	for kind, n := range total {
		if n < 20 {
			t.Errorf("only %d errors of kind %v", n, coco.ErrorKind(kind))
		}
	}
}

func sum(v []int) int {
	n := 0
	for _, x := range v {
		n += x
	}
	return n
}
