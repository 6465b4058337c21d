package stratify_test

import (
	"fmt"

	"github.com/robust-transfer/rtx/finetune/stratify"
)

// Three folds of nine photographs. Those of one animal stay together, and every
// fold holds out two of cats and one of a dog.
func ExampleFolds() {
	photographs := stratify.Labels{
		Y:       []int{0, 0, 0, 0, 0, 0, 1, 1, 1},
		Classes: []string{"cat", "dog"},
		Groups:  []string{"Tom", "Tom", "Kit", "Kit", "Mia", "Mia", "", "", ""},
	}
	folds, err := stratify.Folds(photographs, nil, 3, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range folds {
		fmt.Println("train on", f.Train, "and test on", f.Test)
	}
	// Output:
	// train on [0 1 2 3 7 8] and test on [4 5 6]
	// train on [0 1 4 5 6 7] and test on [2 3 8]
	// train on [2 3 4 5 6 8] and test on [0 1 7]
}
