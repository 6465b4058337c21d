package probe_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/finetune/metrics"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx"
)

// flowers are the features [N,D] of n photographs of two flowers, every third in
// the test split. Here they are drawn at random; featurize computes real ones, and
// ReadFeatures reads them.
func flowers(n, d int, distance float32) probe.Data {
	r := rand.New(rand.NewPCG(1, 2))
	data := probe.Data{N: n, D: d, Classes: []string{"daisy", "tulip"}}
	for i := range n {
		y := i % 2
		for range d {
			data.X = append(data.X, float32(r.NormFloat64())+distance*float32(y))
		}
		data.Y = append(data.Y, y)
		data.Splits = append(data.Splits, []string{"train", "train", "test"}[i%3])
	}
	return data
}

// Train and judge a probe on the features of a backbone, and attach it: the
// classifier takes images.
func Example() {
	data := flowers(300, 96, 0.2)
	set, err := probe.NewSet(data, nil)
	if err != nil {
		log.Fatal(err)
	}
	plan, err := probe.NewPlan(set, nil)
	if err != nil {
		log.Fatal(err)
	}
	found, err := probe.Evaluate(context.Background(), plan, probe.EvaluateConfig{Config: probe.Config{Solver: "ridge"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %.0f %% of %d right, trained on %d\n", found.Protocol, 100*found.Top1, found.N, found.Train)

	file, err := assets.Backbones.ReadFile("backbones/resnet8_std.onnx")
	if err != nil {
		log.Fatal(err)
	}
	backbone, err := onnx.Parse(file)
	if err != nil {
		log.Fatal(err)
	}
	head := found.Selected.Model.(*probe.Head)
	classifier, err := backbone.Attach("features", onnx.Linear{W: head.W, B: head.B, D: head.D, Classes: data.Classes})
	if err != nil {
		log.Fatal(err)
	}
	classes, err := classifier.Classes()
	fmt.Println(classes, err)
	// Output:
	// test: 79 % of 100 right, trained on 200
	// [daisy tulip] <nil>
}

// Ask which of two feature sets of the same photographs serves better, and whether
// they can be told apart.
func ExampleEvaluate() {
	var top1 []float64
	var right [][]bool
	for _, distance := range []float32{0.1, 0.4} {
		set, err := probe.NewSet(flowers(300, 24, distance), nil)
		if err != nil {
			log.Fatal(err)
		}
		plan, err := probe.NewPlan(set, nil)
		if err != nil {
			log.Fatal(err)
		}
		found, err := probe.Evaluate(context.Background(), plan, probe.EvaluateConfig{Config: probe.Config{Solver: "ridge"}, Seeds: 3})
		if err != nil {
			log.Fatal(err)
		}
		top1, right = append(top1, found.Top1), append(right, metrics.Majority(found.Predictions.Right()))
	}
	ranking, err := metrics.Rank(top1, right, 0.05)
	if err != nil {
		log.Fatal(err)
	}
	for place, i := range ranking.Order {
		fmt.Printf("rank %d: set %d, %.0f %%\n", ranking.Ranks[place], i, 100*top1[i])
	}
	// Output:
	// rank 1: set 1, 78 %
	// rank 2: set 0, 52 %
}
