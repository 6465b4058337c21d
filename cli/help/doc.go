// Package help describes rtx's command line to its users: as help texts, as a
// manual page, and as completions for bash, zsh and fish. All of them are made of
// one tree of verbs and flags, which Describe builds from the commands of
// urfave/cli and from a Program: what those do not say.
//
//	root := help.Describe(commands, program)
//	fmt.Print(root.Text())                    // rtx --help
//	fmt.Print(root.Find("models get").Text()) // rtx models get --help
//	fmt.Print(root.Bash())                    // rtx completion bash
//
// Flags and verbs stand under headings, in the order of the Program's tables:
// usually the most used first. (The templates of urfave/cli sort them
// alphabetically.)
package help
