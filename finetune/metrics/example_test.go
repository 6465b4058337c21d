package metrics_test

import (
	"fmt"
	"log"

	"github.com/robust-transfer/rtx/finetune/metrics"
)

// Judge a classifier of three classes by its logits.
func Example() {
	labels := []int{0, 0, 0, 1, 1, 2}
	logits := [][]float32{
		{3, 1, 0}, {2, 0, 1}, {0, 1, 2}, // the last of class 0 is taken for class 2
		{0, 4, 1}, {1, 3, 0},
		{0, 2, 1}, // taken for class 1
	}
	s := metrics.New(3, metrics.Config{TopK: 2})
	for i, row := range logits {
		if err := s.Add(row, labels[i]); err != nil {
			log.Fatal(err)
		}
	}
	mean, _ := s.MeanPerClass()
	fmt.Printf("top-1 %.3f, top-2 %.3f, mean per class %.3f, ECE %.3f\n", s.Top1(), s.TopK(), mean, s.ECE())
	fmt.Println("confusion", s.Confusion())
	for i, c := range s.PerClass() {
		fmt.Printf("class %d: %d of %d right, precision %.2f\n", i, c.Correct, c.N, c.Precision)
	}
	// Output:
	// top-1 0.667, top-2 0.833, mean per class 0.556, ECE 0.229
	// confusion [2 0 1 0 2 0 0 1 0]
	// class 0: 2 of 3 right, precision 1.00
	// class 1: 2 of 2 right, precision 0.67
	// class 2: 0 of 1 right, precision 0.00
}

// Rank three classifiers on the same forty test samples.
func ExampleRank() {
	right := make([][]bool, 3)
	accuracy := make([]float64, 3)
	for i, wrong := range []int{4, 20, 2} { // the first so many samples are wrong
		right[i] = make([]bool, 40)
		for s := wrong; s < 40; s++ {
			right[i][s] = true
			accuracy[i] += 1. / 40
		}
	}
	r, err := metrics.Rank(accuracy, right, 0.05)
	if err != nil {
		log.Fatal(err)
	}
	for place, i := range r.Order {
		fmt.Printf("rank %d: classifier %d, accuracy %.2f, p against the best %.4f\n", r.Ranks[place], i, accuracy[i], r.P[place])
	}
	// Output:
	// rank 1: classifier 2, accuracy 0.95, p against the best NaN
	// rank 1: classifier 0, accuracy 0.90, p against the best 0.5000
	// rank 3: classifier 1, accuracy 0.50, p against the best 0.0000
}

// The interval of an accuracy over bootstrap samples of the test set.
func ExampleBootstrap() {
	labels, right := make([]int, 100), make([]float64, 100)
	for i := range labels {
		labels[i] = i % 4
		if i%5 != 0 { // 80 of 100 are right
			right[i] = 1
		}
	}
	accuracy, _, err := metrics.Bootstrap(labels, right, metrics.BootstrapConfig{Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("0.80, sd %.2f, 95 %% of bootstrap samples from %.2f to %.2f\n", accuracy.SD, accuracy.Low, accuracy.High)
	// Output:
	// 0.80, sd 0.04, 95 % of bootstrap samples from 0.72 to 0.87
}
