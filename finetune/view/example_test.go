package view_test

import (
	"context"
	"fmt"
	"log"

	"github.com/robust-transfer/rtx/finetune/view"
)

// Six samples of three features that vary along one direction.
func Example() {
	const n, d = 6, 3
	x := []float32{
		1, 2, 0,
		2, 4, 0.1,
		3, 6, 0,
		4, 8, 0.1,
		5, 10, 0,
		6, 12, 0.1,
	}
	p, err := view.PCA(context.Background(), x, n, d, 2)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("the first component explains %.2f %% of the variance\n", 100*p.Ratio[0])
	for row := range 3 {
		fmt.Printf("sample %d is at (%.2f, %.2f)\n", row, p.Projected[2*row], p.Projected[2*row+1])
	}

	near, err := view.Neighbours(x, n, d, 0, 2)
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range near {
		fmt.Printf("next to sample 0: %d, cosine %.4f\n", v.Row, v.Cosine)
	}
	// Output:
	// the first component explains 99.98 % of the variance
	// sample 0 is at (-5.59, -0.03)
	// sample 1 is at (-3.35, 0.06)
	// sample 2 is at (-1.12, -0.05)
	// next to sample 0: 2, cosine 1.0000
	// next to sample 0: 4, cosine 1.0000
}
