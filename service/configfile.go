package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// envPrefix starts every variable of ours. Two underscores go one level down:
// WXNOTIFY_STORE__PATH is store.path, WXNOTIFY_MERCHANTS__SHOP__KEYS__0__FILE
// the first key's file. A list given in the environment replaces the file's.
const envPrefix = "WXNOTIFY_"

// configVariable names the configuration file; it is no setting itself.
const configVariable = envPrefix + "CONFIG"

// serviceLink matches the variables that Kubernetes sets in every pod for a
// Service whose name begins with wxnotify. They are nobody's settings.
// Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
var serviceLink = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT$|_PORT_\d+_`)

// loadConfig reads the configuration: defaults, then the file if path is not
// empty, then environ (as of [os.Environ]). Every problem is reported at once.
func loadConfig(path string, environ []string) (Config, error) {
	k := koanf.New(".")
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
				return Config{}, problem{path, plainFileError(err), "check the path given with --config"}
			}
			return Config{}, problem{path, "not valid YAML: " + err.Error(), "compare with: wxnotify check --example"}
		}
	}
	fromEnv := env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if name == configVariable || serviceLink.MatchString(name) {
				return "", nil
			}
			return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "__", ".")), value
		},
	})
	if err := k.Load(fromEnv, nil); err != nil {
		return Config{}, problem{envPrefix + "*", err.Error(), "check the variables' names"}
	}
	c, err := decode(k.Raw())
	c.path = path
	return c, err
}

// decode turns raw settings into a Config on top of the defaults.
func decode(raw map[string]any) (Config, error) {
	c := defaults()
	var found problems
	var meta mapstructure.Metadata
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		TagName:          "koanf",
		Result:           &c,
		Metadata:         &meta,
		WeaklyTypedInput: true, // the environment has only strings; YAML reads mchid as a number
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			listsFromEnvironment,
			mapstructure.StringToTimeDurationHookFunc(),
			mapstructure.TextUnmarshallerHookFunc(),
		),
	})
	if err != nil {
		return c, err
	}
	if err := d.Decode(raw); err != nil {
		found = append(found, decodeProblems(err)...)
	}
	unreadable := slices.Clone(found)
	slices.Sort(meta.Unused)
	for _, key := range meta.Unused {
		found.add(dotted(key), "unknown setting", "check the spelling: wxnotify check --example lists every setting")
	}
	for _, err := range c.validate() {
		if !sameSetting(err, unreadable) { // what could not be read would only be found missing
			found = append(found, err)
		}
	}
	return c, found.join()
}

// sameSetting reports whether one of the others is about the same part of the
// settings, such as merchants or spool.
func sameSetting(err error, others []error) bool {
	part := func(err error) string {
		var p problem
		if !errors.As(err, &p) {
			return ""
		}
		part, _, _ := strings.Cut(p.field, ".")
		return part
	}
	return slices.ContainsFunc(others, func(other error) bool { return part(other) == part(err) })
}

// dotted writes mapstructure's merchants[shop].keys[0] as the settings are
// written everywhere else: merchants.shop.keys.0.
func dotted(key string) string {
	return strings.NewReplacer("[", ".", "]", "").Replace(key)
}

// forms says how a value that could not be read is to be written.
var forms = map[string]string{
	"trusted_proxies": `write networks such as ["10.0.0.0/8", "192.0.2.7/32"]`,
	"spool.size":      "write it like 64MiB",
	"shutdown.delay":  "write it like 5s",
}

// decodeProblems puts mapstructure's findings into the words of the others.
func decodeProblems(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, decodeProblems(e)...)
		}
		return all
	}
	var d *mapstructure.DecodeError
	if errors.As(err, &d) {
		field := dotted(d.Name())
		fix := "compare with: wxnotify check --example"
		for setting, form := range forms {
			if strings.HasPrefix(field, setting) {
				fix = form
			}
		}
		return []error{problem{field, d.Unwrap().Error(), fix}}
	}
	return []error{err}
}

// listsFromEnvironment reads what the environment can say of a list: members by
// number (…__0__FILE), or one text with commas.
func listsFromEnvironment(from, to reflect.Type, data any) (any, error) {
	if to.Kind() != reflect.Slice {
		return data, nil
	}
	switch value := data.(type) {
	case string:
		if value == "" {
			return []string{}, nil
		}
		parts := strings.Split(value, ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		return parts, nil
	case map[string]any:
		list := make([]any, len(value))
		for key, member := range value {
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(list) {
				return nil, fmt.Errorf("%q is no place in a list; number them from 0", key)
			}
			list[i] = member
		}
		return list, nil
	}
	return data, nil
}
