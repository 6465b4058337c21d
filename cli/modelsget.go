package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/catalogue"
)

func (e *env) modelsGet(c *cli.Context) error {
	all, wanted, err := e.namedModels(c)
	if err != nil {
		return err
	}
	from := c.String("from")
	if len(wanted) > 1 && from != "" && catalogue.IsSingle(from) {
		return &usageError{msg: fmt.Sprintf("--from %q is one file for %d names", catalogue.Redacted(from), len(wanted)), hint: "--from takes the folder or the URL that they are in"}
	}
	status, list := "cached", []object{}
	for _, m := range wanted {
		fetched, err := e.get(c.Context, all, m, from)
		var sig signalled
		if errors.As(err, &sig) || errors.Is(err, context.Canceled) {
			return partial{fmt.Errorf("%w", context.Cause(c.Context)), e.result("rtx.models.get/1", "interrupted", all.Dir, object{{"models", list}})}
		}
		if err != nil {
			return err
		}
		if !e.json {
			fmt.Fprintln(e.stdout, all.Path(m))
		}
		one := "cached"
		if fetched {
			one, status = "done", "done"
		}
		list = append(list, append(object{{"status", one}}, modelObject(all, m)...))
	}
	out := all.Dir
	if len(wanted) == 1 {
		out = all.Path(wanted[0])
	}
	if e.json {
		e.print(e.result("rtx.models.get/1", status, out, object{{"models", list}}))
	}
	return nil
}

// namedModels begins a verb of rtx models whose arguments are names: it opens the
// catalogue and finds the models, each once.
func (e *env) namedModels(c *cli.Context) (all *catalogue.Catalogue, wanted []*catalogue.Model, err error) {
	if err := e.begin(c); err != nil {
		return nil, nil, err
	}
	if c.NArg() == 0 {
		return nil, nil, &usageError{msg: "no model is named", hint: fmt.Sprintf("rtx models %s NAME; rtx models lists the names", c.Command.Name)}
	}
	if all, err = e.openCatalogue(); err != nil {
		return nil, nil, err
	}
	for _, name := range c.Args().Slice() {
		m := all.Find(name)
		if m == nil {
			return nil, nil, unknownModel(all, &catalogue.UnknownError{Name: name})
		}
		if !slices.Contains(wanted, m) {
			wanted = append(wanted, m)
		}
	}
	return all, wanted, nil
}

// get brings a model into the cache, with progress, and reports whether it had
// to.
func (e *env) get(ctx context.Context, all *catalogue.Catalogue, m *catalogue.Model, from string) (fetched bool, err error) {
	p := newProgress(e)
	p.noun = "MB"
	o := e.catalogueOptions()
	o.Progress = func(done, total int64) { p.update(int(done/1e6), int(total/1e6)) }
	fetched, err = all.Get(ctx, m, from, o)
	p.end()
	if err != nil || !fetched {
		return false, err
	}
	against := map[string]string{"sha256": "as the catalogue has it", "sha256_prefix": "begins as the catalogue has it", "host": "as the host announced it"}[m.Kept.Verified]
	if against == "" {
		against = "nothing is known to compare it with"
	}
	e.note("%s: %d bytes, SHA-256 %s (%s)", m.Name, m.Kept.Model.Size, m.Kept.Model.SHA256, against)
	return true, nil
}

func (e *env) catalogueOptions() catalogue.Options {
	return catalogue.Options{
		Agent:   "rtx/" + buildVersion(),
		Waiting: func() { e.note("waiting for another process that fetches the same") },
	}
}
