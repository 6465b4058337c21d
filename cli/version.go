package cli

import (
	"fmt"
	gort "runtime"
	"runtime/debug"
	"time"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/onnx/runtime"
)

func versionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the versions of rtx and of what it was built with",
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := e.begin(c); err != nil {
				return err
			}
			if e.json {
				e.print(e.result("rtx.version/1", "done", "", object{{"version", buildVersion()}, {"go", gort.Version()}, {"platform", gort.GOOS + "/" + gort.GOARCH}, {"onnxruntime", runtime.Pinned}}))
				return nil
			}
			fmt.Fprintf(e.stdout, "rtx %s, %s, %s/%s, onnxruntime %s\n", buildVersion(), gort.Version(), gort.GOOS, gort.GOARCH, runtime.Pinned)
			return nil
		},
	}
}

// buildVersion is the module's version, or the revision of a checkout.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}

// builtOn is the date of the revision, or today where that is not known.
func builtOn() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" && len(s.Value) >= len(time.DateOnly) {
				return s.Value[:len(time.DateOnly)]
			}
		}
	}
	return time.Now().UTC().Format(time.DateOnly)
}
