// Command protogen generates Go code from the .proto files of a directory with
// the plugins that go.mod names as tools. It compiles with our own schema
// package, so generating needs no protoc.
//
//	protogen DIR     writes below the current directory, the module's root
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/skewgate/skewgate/schema"
)

const module = "github.com/skewgate/skewgate"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protogen DIR")
		os.Exit(2)
	}
	if err := generate(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func generate(ctx context.Context, dir string) error {
	input, err := schema.ParseInput(dir)
	if err != nil {
		return err
	}
	set, err := schema.Load(ctx, input, schema.Options{Full: true})
	if err != nil {
		return err
	}
	files := map[string]bool{}
	for _, m := range set.Messages() {
		files[m.ParentFile().Path()] = true
	}
	request := &pluginpb.CodeGeneratorRequest{
		Parameter: proto.String("module=" + module),
		ProtoFile: set.DescriptorSet().GetFile(),
	}
	for _, f := range request.ProtoFile {
		if files[f.GetName()] {
			request.FileToGenerate = append(request.FileToGenerate, f.GetName())
		}
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return fmt.Errorf("find the module's root: %w", err)
	}
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		if err := run(ctx, plugin, request, string(bytes.TrimSpace(root))); err != nil {
			return fmt.Errorf("%s: %w", plugin, err)
		}
	}
	return nil
}

func run(ctx context.Context, plugin string, request *pluginpb.CodeGeneratorRequest, root string) error {
	in, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", plugin)
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(out, &response); err != nil {
		return err
	}
	if response.Error != nil {
		return fmt.Errorf("%s", response.GetError())
	}
	for _, f := range response.File {
		path := filepath.Join(root, f.GetName())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
