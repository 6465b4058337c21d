package help_test

import (
	"fmt"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/help"
)

func Example() {
	commands := []*cli.Command{{
		Name: "count", Usage: "count images", ArgsUsage: "DIR",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no notes"},
			&cli.StringFlag{Name: "format", Usage: "`KIND` of image: jpeg, png or all", Value: "all"},
		},
	}}
	root := help.Describe(commands, &help.Program{
		Flags: []help.Group{{Title: "Input", Members: []string{"format"}}, {Title: "General", Members: []string{"quiet", "help"}}},
		Guides: map[string]help.Guide{"count": {
			Synopsis: "rtx count DIR [FLAGS]",
			Examples: []help.Example{{Does: "PNG files alone", Line: "rtx count images --format png"}},
		}},
	})
	fmt.Print(root.Find("count").Text())
	// Output:
	// rtx count - count images
	//
	// Usage: rtx count DIR [FLAGS]
	//
	// Examples
	//   # PNG files alone
	//   rtx count images --format png
	//
	// Input
	//       --format KIND  KIND of image: jpeg, png or all (default: all)
	//
	// General
	//   -q, --quiet        no notes
	//   -h, --help         print this help
}
