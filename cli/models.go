package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/cli/catalogue"
)

func modelsCommand(e *env) *cli.Command {
	quiet := func() cli.Flag { return toggle("quiet", "no notes and no progress", "q") }
	progress := text("progress", "auto", "how progress is shown: auto, bar, jsonl or none")
	return &cli.Command{
		Name: "models", Usage: "list the models that have a name", ArgsUsage: "[PATTERN]",
		Description: "PATTERN is a part of a name or an architecture, or has * and ? in it.\n" +
			"A name stands for a file wherever a MODEL is asked for. Lists without a network.",
		Flags:  []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error { return e.models(c) },
		Subcommands: []*cli.Command{
			{
				Name: "get", Usage: "fetch checkpoints into the user's cache and print their paths", ArgsUsage: "NAME...",
				Description: "An interrupted download goes on where it stopped. What was fetched is compared with\n" +
					"the size and the SHA-256 that are known of it. HTTPS_PROXY names a proxy.",
				Flags: []cli.Flag{
					text("from", "", "take them from a `FOLDER` or a URL, or one from a file or its own URL"),
					jsonFlag(), progress, quiet(),
				},
				Action: func(c *cli.Context) error { return e.modelsGet(c) },
			},
			{
				Name: "add", Usage: "give a name to a file of your own, kept in the cache", ArgsUsage: "FILE",
				Flags: []cli.Flag{
					text("name", "", "the `NAME` (default: the file's, without its ending)"),
					text("arch", "", "the `ARCHITECTURE`, such as resnet50 (default: what an ONNX file says)"),
					text("eps", "", "`NORM:EPS` of adversarial training, in [0,1] pixel units, such as l2:0.5 or linf:4/255"),
					jsonFlag(), quiet(), toggle("overwrite", "replace another file of that name"),
				},
				Action: func(c *cli.Context) error { return e.modelsAdd(c) },
			},
			{
				Name: "rm", Usage: "remove what was fetched or added from the user's cache", ArgsUsage: "NAME...",
				Description: "Prints the names whose files were there. A released checkpoint keeps its name and can be\n" +
					"fetched again; the name of a file of your own is gone. Bundled models stay.",
				Flags:  []cli.Flag{jsonFlag(), quiet()},
				Action: func(c *cli.Context) error { return e.modelsRemove(c) },
			},
		},
	}
}

func (e *env) models(c *cli.Context) error {
	if err := e.begin(c); err != nil {
		return err
	}
	if c.NArg() > 1 {
		return &usageError{msg: fmt.Sprintf("models takes one pattern, found %d", c.NArg()), hint: suggest(c.Args().First(), []string{"get", "add", "rm"}, "quote a pattern that has * in it")}
	}
	all, err := e.openCatalogue()
	if err != nil {
		return err
	}
	pattern := c.Args().First()
	found := all.Match(pattern)
	if len(found) == 0 {
		return &usageError{msg: fmt.Sprintf("no model's name or architecture matches %q", pattern), hint: suggest(pattern, append(all.Names(), "get", "add", "rm"), "rtx models lists all")}
	}
	if e.json {
		list := []object{}
		for _, m := range found {
			list = append(list, modelObject(all, m))
		}
		e.print(e.result("rtx.models/1", "done", all.Dir, object{{"models", list}}))
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tARCH\tNORM\tEPS\tIMAGENET\tLICENCE\tSTATE")
	for _, m := range found {
		top1 := "-"
		if m.Top1 > 0 {
			top1 = fmt.Sprintf("%.2f", 100*m.Top1)
		}
		fmt.Fprintln(w, strings.Join([]string{m.Name, orDash(m.Arch), orDash(m.Norm), epsText(m.Checkpoint), top1, orDash(m.Licence), modelState(all, m)}, "\t"))
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func epsText(c assets.Checkpoint) string {
	switch c.Norm {
	case "":
		return "-"
	case "linf":
		return fmt.Sprintf("%.4g/255", c.Eps*255)
	}
	return fmt.Sprintf("%g", c.Eps)
}

// modelState is where the file of a model is.
func modelState(c *catalogue.Catalogue, m *catalogue.Model) string {
	switch {
	case m.Bundled:
		return "bundled"
	case c.Has(m):
		return "in cache"
	}
	return "not fetched"
}

// modelObject is a model as --json shows it; what is not known is null.
func modelObject(c *catalogue.Catalogue, m *catalogue.Model) object {
	known := func(v any, is bool) any {
		if !is {
			return nil
		}
		return v
	}
	state, path := modelState(c, m), ""
	if state == "in cache" {
		path = c.Path(m)
	}
	sum, size := c.Digest(m)
	return object{
		{"name", m.Name}, {"arch", known(m.Arch, m.Arch != "")}, {"norm", known(m.Norm, m.Norm != "")}, {"eps", known(m.Eps, m.Norm != "")},
		{"imagenet_top1", known(m.Top1, m.Top1 > 0)}, {"classes", known(m.Classes, m.Classes > 0)}, {"licence", known(m.Licence, m.Licence != "")},
		{"state", state}, {"added", m.Added}, {"file", m.File}, {"path", known(path, path != "")}, {"size", known(size, size > 0)},
		{"sha256", known(sum, len(sum) == 64)}, {"sha256_prefix", known(sum, sum != "")}, {"url", known(m.URL, m.URL != "")}, {"layout", known(m.Layout, m.Layout != "")},
	}
}
