package cueconflict_test

import (
	"fmt"

	"github.com/robust-transfer/rtx/finetune/cueconflict"
)

func Example() {
	groups, _, err := cueconflict.GroupsOf([]string{"cat", "elephant", "truck"}, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	var tally cueconflict.Tally
	for file, probabilities := range map[string][]float64{
		"cat1-elephant3.png": {0.2, 0.7, 0.1},
		"truck4-cat2.png":    {0.3, 0.1, 0.6},
	} {
		if shape, texture, ok := cueconflict.Parse(file); ok {
			tally.Add(shape, texture, groups.Decide(probabilities))
		}
	}
	fmt.Println(tally.All().Bias())
	// Output: 0.5
}
