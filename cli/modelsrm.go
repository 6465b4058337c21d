package cli

import (
	"fmt"

	cli "github.com/urfave/cli/v2"

	"github.com/robust-transfer/rtx/cli/catalogue"
)

func (e *env) modelsRemove(c *cli.Context) error {
	all, wanted, err := e.namedModels(c)
	if err != nil {
		return err
	}
	for _, m := range wanted { // nothing is removed where one of them cannot be
		if m.Bundled {
			return fmt.Errorf("%s cannot be removed: %w", m.Name, catalogue.ErrBundled)
		}
	}
	list, total := []object{}, int64(0)
	for _, m := range wanted {
		freed, err := all.Remove(c.Context, m, e.catalogueOptions())
		if err != nil {
			return err
		}
		total += freed
		list = append(list, object{{"name", m.Name}, {"added", m.Added}, {"removed", freed > 0}, {"bytes", freed}})
		switch {
		case freed == 0:
			e.note("%s is not in the cache", m.Name)
		case !e.json:
			e.note("%s: %.1f MB", m.Name, float64(freed)/1e6)
			fmt.Fprintln(e.stdout, m.Name)
		}
	}
	if e.json {
		e.print(e.result("rtx.models.rm/1", "done", all.Dir, object{{"models", list}, {"bytes", total}}))
	}
	return nil
}
