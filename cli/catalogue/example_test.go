package catalogue_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/cli/catalogue"
)

// A bundled backbone is there at once; a released checkpoint has to be fetched.
func Example() {
	dir, err := os.MkdirTemp("", "models")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	c, err := catalogue.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	file, m, err := c.Locate("resnet8_l2_eps0.25")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(filepath.Base(file), m.Arch, m.Norm, m.Eps)

	_, _, err = c.Locate("resnet50_l2_eps3")
	var missing *catalogue.MissingError
	fmt.Println(errors.As(err, &missing), err)
	// Output:
	// resnet8_l2_eps0.25.onnx resnet8 l2 0.25
	// true the checkpoint resnet50_l2_eps3 is not in the cache
}
