// Moves the video player of the open sample to a frame: FiftyOne 1.22 offers no operator for it
// (its set_frame_number speaks to timelines of image sequences alone).
(() => {
  const { Operator, OperatorConfig, registerOperator } = window.__foo__;
  const { modalLooker } = window.__fos__;
  const { useRecoilCallback } = window.recoil;

  const PATIENCE_MS = 60000;
  const POLL_MS = 100;
  const SETTLED_AFTER = 10;

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
      let stayed = 0;
      while (Date.now() < deadline && stayed < SETTLED_AFTER) {
        const player = hooks.player();
        // A sample that is just being opened has no player yet, or still that of the one before;
        // a player that has just loaded goes back to the start once.
        if (player?.seekToFrame && player.state?.loaded && isOf(player, params.sample)) {
          stayed = player.frameNumber === params.frame ? stayed + 1 : 0;
          if (!stayed) {
            player.pause();
            player.seekToFrame(params.frame);
          }
        }
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
  }

  const isOf = (player, sample) => !sample || player.state.config.sampleId === sample;

  registerOperator(GoToFrame, "@legpose/legpose");
})();
