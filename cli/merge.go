package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/featurize"
)

func mergeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "merge",
		Usage:     "join the shards of a feature set",
		ArgsUsage: "DIR...",
		Description: "DIR is a shard that featurize --shard made, or the folder that holds all of them. The\n" +
			"result is the same as if there had been no shards; OUT may be the folder of the shards.",
		Flags: []cli.Flag{
			text("out", "", "the `FOLDER` of the feature set", "o"),
			text("format", "", "`KIND` of file for the features: npy, npz, safetensors or parquet (default: the shards')"),
			jsonFlag(),
			toggle("quiet", "no notes", "q"),
			toggle("overwrite", "start over where OUT holds something else"),
		},
		Action: func(c *cli.Context) error { return e.merge(c) },
	}
}

func (e *env) merge(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	const usage = "rtx merge FEATURES -o FEATURES, where FEATURES holds the folders shard-0-of-4 and so on"
	if c.NArg() == 0 {
		return &usageError{msg: "no shards are named", hint: usage}
	}
	if c.String("out") == "" {
		return &usageError{msg: "--out is missing", hint: usage}
	}
	if v := c.String("format"); v != "" && !slices.Contains(featurize.Formats, v) {
		return &usageError{msg: fmt.Sprintf("--format is %q, expected %s", v, strings.Join(featurize.Formats, ", "))}
	}
	m := featurize.Merge{
		Dirs: c.Args().Slice(), Out: c.String("out"), Format: c.String("format"), Overwrite: c.Bool("overwrite"),
		Describe: func(p *featurize.Provenance) { p.Version = buildVersion() },
	}
	s, err := m.Run(c.Context)
	if errors.Is(err, fs.ErrNotExist) {
		return hinted{fmt.Errorf("%w: %w", err, featurize.ErrData), usage}
	}
	if err != nil {
		return err
	}
	if e.json {
		e.print(e.result("rtx.merge/1", s.Status, m.Out, object{{"samples", s.Samples}, {"dim", s.Dim()}, {"skipped", s.Skipped}}))
		return nil
	}
	e.note("%d samples, %d skipped%s", s.Samples, s.Skipped, map[bool]string{true: "; nothing to do"}[s.Status == "cached"])
	fmt.Fprintln(e.stdout, m.Out)
	return nil
}
