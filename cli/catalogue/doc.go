// Package catalogue keeps models under names: the released checkpoints that
// package assets lists, the bundled backbones, and files that the user has given
// a name. Their files lie in one folder, usually in the user's cache.
//
//	dir, err := catalogue.DefaultDir()
//	c, err := catalogue.Open(dir)
//	m := c.Find("resnet50_l2_eps3")
//	_, err = c.Get(ctx, m, "", catalogue.Options{}) // downloads it, once
//	file := c.Path(m)
//
// Get downloads a checkpoint from its published address, from a mirror, or copies
// it from a folder. A download that was interrupted is continued, and is checked
// before it gets its name: it must be the kind of file that its name says, and
// have the size and the SHA-256 that are known of it. Add copies a file of the
// user's into the folder, Remove deletes what was fetched or added. Processes that want the same model at the same time wait
// for each other, so that it is fetched once.
//
// The folder holds
//
//	NAME.ckpt, NAME.onnx, ...   the models
//	NAME.json                   a Record for each: digest, size, where it came from
//	.NAME.lock                  locked (flock) while a process fetches or adds it
//	.NAME.ckpt.part, .part.json what has come of a download, and of which file
//
// Errors that a caller may want to tell apart are *MissingError, *UnknownError,
// *TakenError, *TemporaryError, ErrUnavailable, ErrRefused and ErrBundled.
package catalogue
