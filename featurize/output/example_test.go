package output_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/robust-transfer/rtx/featurize/output"
)

// A job that is asked for twice is done once, and its folder takes no other
// settings.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	type settings struct {
		Model string  `json:"model"`
		Rate  float64 `json:"learning_rate"`
	}
	layout := output.Layout{Kind: "greeting", Files: []string{"log.txt", "greeting.txt"}}
	job := func(s settings) (status string, err error) {
		f, err := output.Open(dir, layout)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if err := f.Begin(s, false); err != nil {
			return "", err
		}
		if f.Done() {
			return "cached", nil
		}
		return "done", f.Put(context.Background(),
			output.Content{Name: "log.txt", Write: output.Bytes(nil)},
			output.Content{Name: "greeting.txt", Write: output.Bytes([]byte("hello"))})
	}
	fmt.Println(job(settings{"resnet18", 0.1}))
	fmt.Println(job(settings{"resnet18", 0.1}))
	_, err = job(settings{"resnet18", 0.2})
	fmt.Println(strings.ReplaceAll(err.Error(), dir, "DIR"))
	// Output:
	// done <nil>
	// cached <nil>
	// output "DIR": learning_rate is 0.1 there and 0.2 here: output holds another configuration
}
