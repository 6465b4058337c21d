package cli

import (
	"os"
	"slices"
	"strings"

	cli "github.com/urfave/cli/v2"
)

// A flag is set by RTX_VERB_FLAG, such as RTX_FEATURIZE_LAYER, or by RTX_FLAG in all
// verbs in which it means the same. A variable that is meant for one verb so neither
// breaks nor changes another.

// ownMeaning are the flags that mean something else in some verbs than in the others,
// or, with "*", in every verb: there RTX_FLAG does not set them.
var ownMeaning = map[string][]string{
	"arch":         {"new"},                         // what to make, not what a file holds
	"batch-size":   {"finetune", "detect", "adapt"}, // changes the result, not only the time it takes
	"bn":           {"finetune", "detect"},          // of training, not of features
	"attack":       {"plot attack"},                 // one radius
	"batch":        {"*"},
	"categories":   {"*"},
	"config":       {"*"},               // holds the flags of one verb
	"data":         {"probe"},           // features, not images
	"engine":       {"eval"},            // with --attack alone
	"format":       {"predict"},         // of detections, not of features
	"epochs":       {"compare"},         // with --task detect alone, as those below
	"from":         {"runtime install"}, // a library, not models
	"input-size":   {"new"},             // of a network to make, not of images
	"labels":       {"probe"},           // of samples, not the names of classes
	"kind":         {"compare"},
	"layer":        {"plot inversion"},    // has another default
	"lr":           {"detect", "compare"}, // one rate
	"masks":        {"detect", "compare"}, // whether they are learned, not how they are written
	"metric":       {"eval", "detect"},    // of detectors, not of classifiers
	"out":          {"*"},
	"precision":    {"export"},            // of the file, not of the arithmetic
	"recipe":       {"detect", "compare"}, // of detectors
	"score":        {"export"},            // of the file's outputs, not of what is printed
	"size":         {"compare"},
	"steps":        {"eval", "plot attack"}, // of an attack, not of a gradient descent
	"train-stages": {"compare"},
	"triton":       {"*"},
	"use":          {"*"},
	"verify":       {"featurize"}, // contents of images, not a second reader of models
}

// variable is the environment variable that sets a flag in all verbs where it means
// the same.
func variable(flag string) string {
	return "RTX_" + strings.ToUpper(strings.NewReplacer("-", "_", " ", "_").Replace(flag))
}

// variablesOf are the environment variables that set a flag of a verb, which is named
// by its path; the first one that is set counts.
func variablesOf(verb, flag string) []string {
	own := []string{variable(verb + " " + flag)}
	if in := ownMeaning[flag]; slices.Contains(in, "*") || slices.Contains(in, verb) {
		return own
	}
	return append(own, variable(flag))
}

// bindVariables gives the flags of verbs below a path their environment variables.
func bindVariables(verbs []*cli.Command, path string) []*cli.Command {
	for _, c := range verbs {
		verb := strings.TrimPrefix(path+" "+c.Name, " ")
		for _, f := range c.Flags {
			vars := variablesOf(verb, f.Names()[0])
			switch f := f.(type) {
			case *cli.StringFlag:
				f.EnvVars = vars
			case *cli.IntFlag:
				f.EnvVars = vars
			case *cli.BoolFlag:
				f.EnvVars = vars
			case *cli.StringSliceFlag:
				f.EnvVars = vars
			default:
				panic("cli: flag " + f.Names()[0] + " is of a type that has no variables")
			}
		}
		bindVariables(c.Subcommands, verb)
	}
	return verbs
}

// fromEnvironment is the value that the environment gives a flag, if any of its
// variables is set.
func fromEnvironment(f cli.Flag) (value string, set bool) {
	for _, name := range f.(cli.DocGenerationFlag).GetEnvVars() {
		if value, set := os.LookupEnv(name); set {
			return value, true
		}
	}
	return "", false
}
