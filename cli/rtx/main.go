// Command rtx is transfer learning with robust backbones from the command line.
package main

import (
	"os"

	"github.com/robust-transfer/rtx/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}
