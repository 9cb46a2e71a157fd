// Wxnotify is the program that a merchant puts at the WeChat Pay notify_url
// (支付回调). It verifies every callback, records it, moves the order exactly
// once, answers in milliseconds, and makes all of this visible.
//
// This package is the program: commands, settings and the wiring. The rooms
// beside it do the work and do not know each other.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes: what a script can tell apart.
const (
	exitOK     = 0
	exitFailed = 1 // the work was tried and did not succeed
	exitUsage  = 2 // the command line or the configuration is wrong; nothing was tried
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A reader of our records that goes away costs records, never callbacks.
	signal.Ignore(syscall.SIGPIPE)
	// Little lives long here, so a collection finds much garbage and costs a pass
	// over the rest: half as many of them are worth some MiB.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], terminal{os.Stdout, os.Stderr}))
}

// terminal is where a command writes: results and what goes beside them.
type terminal struct{ out, err io.Writer }

// settings are where the commands of an installation find its configuration.
type settings struct {
	Config string `short:"c" placeholder:"FILE" env:"WXNOTIFY_CONFIG" help:"Configuration file (YAML). Settings can also come from WXNOTIFY_* in the environment."`
}

// commands is the command line.
type commands struct {
	Serve    serveCommand    `cmd:"" help:"Take callbacks in (the service itself)."`
	Demo     demoCommand     `cmd:"" help:"Show the whole thing on this machine: service, WeChat Pay stand-in and merchant in one process."`
	Simulate simulateCommand `cmd:"" help:"Be WeChat Pay: send callbacks, drive load, play an outage. Be a DingTalk robot."`
	PageTest pageTestCommand `cmd:"" help:"Send a test message through every channel that tells people of failures, and report."`
	Replay   replayCommand   `cmd:"" help:"Run a stored callback through today's code and keys, without changing anything."`
	Resolve  resolveCommand  `cmd:"" help:"List outstanding notifications (未入账), or end one by a person's decision."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the schema of a database server up to date: before a release is rolled out."`
	Check    checkCommand    `cmd:"" help:"Examine configuration, keys, database and collector; say how to mend what is wrong."`
	Ready    readyCommand    `cmd:"" help:"Ask a running service whether it is ready: for health checks of containers. Exit code 0 or 1."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

// run is the program without the process: it parses args, does the work and
// returns the exit code.
func run(ctx context.Context, args []string, t terminal) int {
	exit := -1
	parser, err := kong.New(&commands{},
		kong.Name("wxnotify"),
		kong.Description("Takes WeChat Pay callbacks (微信支付回调): verified, recorded once, answered in milliseconds, seen.\n\n"+
			"Start with:  wxnotify demo\n\n"+
			"Exit codes:  0 done, 1 tried and failed, 2 wrong command line or configuration."),
		kong.Writers(t.out, t.err),
		kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(t),
		kong.Vars{"kinds": kinds(), "faults": faults()},
	)
	if err != nil {
		fmt.Fprintln(t.err, "wxnotify:", err)
		return exitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	switch {
	case exit >= 0: // --help has printed itself
		return exit
	case err != nil:
		fmt.Fprintf(t.err, "wxnotify: %v\nTry: wxnotify --help\n", err)
		return exitUsage
	}
	return report(t, parsed.Run(parsed.Model.Target.Addr().Interface()))
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// configError is a mistake in the configuration: often several at once.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

// report prints an error, if any, and chooses the exit code.
func report(t terminal, err error) int {
	var usage usageError
	var config configError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(t.err, "wxnotify: %v\n", usage)
		return exitUsage
	case errors.As(err, &config):
		fmt.Fprintf(t.err, "wxnotify: the configuration cannot be used:\n%s\n", indent(config.Error()))
		return exitUsage
	}
	fmt.Fprintf(t.err, "wxnotify: %v\n", err)
	return exitFailed
}
