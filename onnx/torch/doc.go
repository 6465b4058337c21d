// Package torch reads PyTorch checkpoints without Python: the .pt, .pth, .th
// and .ckpt files of torch.save, both the zip archives of PyTorch 1.6 and later
// and the older format that PyTorch calls legacy, .safetensors, and pickles of numpy
// arrays, as the .pkl files of Detectron2's model zoo are. Each of them may be
// compressed by gzip.
//
// Open a file and ask it for its network:
//
//	f, err := torch.Open("resnet50_l2_eps3.ckpt")
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//	n, err := f.Network(-1) // -1: the file holds one network
//	if err != nil {
//		return err
//	}
//	m, err := arch.Build("resnet50", n.Tensors, arch.Config{Mean: n.Mean, Std: n.Std})
//
// [File.Network] finds the state_dict wherever it lies in the file, strips the
// prefixes of wrappers such as DataParallel, and returns the tensors under the
// names that the network's own code gives them. Weights that PyTorch computes of
// several tensors, by pruning, weight norm or spectral norm, are computed when they
// are written. Package onnx/arch makes a model
// of them. [File.Fields] lists the numbers and strings that were saved beside
// the weights, and [File.Value] is everything that was saved, as Go values.
//
// # Safety
//
// Nothing in a checkpoint is ever executed. A pickle is a program for a small
// stack machine; this package runs that program with plain Go values. It knows
// the few classes and functions that tensors, containers and numpy numbers are
// made of. Every other one becomes an inert [Object] with its name, arguments
// and state: nothing is looked up, imported or called. [File.Classes] lists
// them.
//
// # Memory
//
// [Open] takes memory in proportion to the pickle, not to the weights. The
// values of a tensor stay in the file until [Tensor.Write], which streams them
// if they lie there in order; a transposed or otherwise strided tensor needs
// its whole storage in memory. In a zip archive the checksum of a storage is
// verified when the storage is first read; a recorded checksum of 0 means that
// there is none.
//
// # Values
//
// A pickle becomes a tree of these values. It may share parts and, as pickles
// can, contain itself.
//
//	Python                            Go
//	None, bool, float, complex        nil, bool, float64, complex128
//	int                               int64, or *big.Int where that is too small
//	str; bytes and bytearray          string; Bytes
//	list; tuple and torch.Size; set   *List; *Tuple; *Set
//	dict, OrderedDict, defaultdict    *Dict, in the order of the file
//	tensors, parameters, ndarrays     *Tensor
//	numpy scalars                     bool, int64, float64
//	torch.device                      string
//	classes, functions, dtypes        Class
//	everything else                   *Object
//
// # Errors
//
// Every error about a file's contents wraps [ErrFormat]. A file that holds
// several networks is no such error: see [ErrIndex].
//
// The formats are those of torch/serialization.py and, for pickles of protocol
// 0 to 5, of Lib/pickletools.py in Python.
package torch
