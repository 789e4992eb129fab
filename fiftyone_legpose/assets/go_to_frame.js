// Moves the video player of the open sample to a frame: FiftyOne 1.22 offers no operator for it
// (its set_frame_number speaks to timelines of image sequences alone).
(() => {
  const { Operator, OperatorConfig, registerOperator } = window.__foo__;
  const { modalLooker } = window.__fos__;
  const { useRecoilCallback } = window.recoil;

  const PATIENCE_MS = 15000;
  const POLL_MS = 100;

  class GoToFrame extends Operator {
    get config() {
      return new OperatorConfig({ name: "go_to_frame", label: "Go to frame", unlisted: true });
    }

    useHooks() {
      const player = useRecoilCallback(
        ({ snapshot }) => () => snapshot.getLoadable(modalLooker).contents,
        []
      );
      return { player };
    }

    async execute({ hooks, params }) {
      const deadline = Date.now() + PATIENCE_MS;
      while (Date.now() < deadline) {
        const player = hooks.player();
        // A sample that is just being opened has no player yet, or still that of the one before.
        if (player?.seekToFrame && player.state?.loaded && isOf(player, params.sample)) {
          player.pause();
          player.seekToFrame(params.frame);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
  }

  const isOf = (player, sample) => !sample || player.state.config.sampleId === sample;

  registerOperator(GoToFrame, "@legpose/legpose");
})();
