// Package output is the protocol that folders of results follow, whatever
// computes them: it lets a job be interrupted at any moment and taken up again,
// and keeps two jobs from mixing their results.
//
//	f, err := output.Open(dir, output.Layout{Kind: "greeting", Files: []string{"greeting.txt"}})
//	defer f.Close()
//	if err := f.Begin(settings, false); err != nil {
//		return err // such as ErrConfig
//	}
//	if !f.Done() {
//		err = f.Put(ctx, output.Content{Name: "greeting.txt", Write: output.Bytes(text)})
//	}
//
// A job opens its folder ([Open]), which locks it, and begins ([Folder.Begin])
// with its settings: a struct with JSON tags that holds everything the results
// depend on. What happens then depends on the folder:
//
//   - A new or empty folder gets a record of the settings.
//   - A folder with a record of the same settings is gone on with, or is done
//     already ([Folder.Done]).
//   - A folder with other settings, or with files of another kind, is refused:
//     the error is [ErrConfig] and names every setting that differs. Overwriting
//     removes the results that are there, and nothing else.
//   - A folder that another process has open is refused with [ErrLocked].
//
// Results appear under their names only when they are whole. [WriteFile] and
// [Folder.Write] make a single file; [Folder.Put] makes several that appear
// together, even if the process is killed between two of them. The last file of
// a [Layout] is the mark: a folder that has it is done.
//
//	DIR/NAME              results
//	DIR/NAME.part         a result that is being written
//	DIR/.rtx/lock         locked (flock) while a process has the folder open
//	DIR/.rtx/config.json  the record: version, kind, key and settings
//	DIR/.rtx/next/        results being written that shall appear together
//	DIR/.rtx/commit/      the same once they are whole, being moved to DIR
//	DIR/.rtx/...          whatever else the job needs in order to go on
//
// The key is the SHA-256 of the settings as JSON with sorted keys, so it depends
// on their tags and values but not on the names of Go types and fields or on the
// order of fields. A record of another version of this protocol is refused as
// other settings are.
//
// run.json, the mark of feature sets and of training runs, begins with a [Run].
package output
