package main

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/skewgate/skewgate/gateway/picker"
)

// addPicker is Envoy's ext_proc front of the same decision core.
func (s *server) addPicker() error {
	g, err := s.newGateway()
	if err != nil {
		return err
	}
	l, err := s.listen("picker", s.mesh.Listen.Picker)
	if err != nil {
		return err
	}
	p := picker.New(picker.Options{Gateway: g, Logger: s.log})
	srv := grpc.NewServer(
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}))
	p.Register(srv)
	s.add("picker", func(ctx context.Context) error {
		failed := make(chan error, 1)
		go func() { failed <- srv.Serve(l) }()
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
		}
		p.Close() // ends open streams with OK: live requests go on without us
		force := time.AfterFunc(time.Second, srv.Stop)
		srv.GracefulStop()
		force.Stop()
		<-failed
		return nil
	})
	return nil
}
