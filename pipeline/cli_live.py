"""The commands for live sound: listen, devices, doctor."""

import signal
from pathlib import Path
from typing import Annotated, Literal

import typer

from .cli_language import Alternatives, Beam, HotwordList, Language, Lm, LmWeight, Phrases, WordBonus
from .endings import BAD_INPUT, quiet_endings
from .endpoint import EndpointRules

app = typer.Typer()

Model = Annotated[
    Path | None, typer.Option(metavar="PATH", help="A model file; by default the English one that is included.")
]
Device = Annotated[
    str | None, typer.Option(metavar="NAME|N", help="A microphone, by its number or a part of its name.")
]
Channel = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Hear only this channel, counting from 1; else their mean.")
]


@app.command()
def listen(
    source: Annotated[
        str | None, typer.Argument(metavar="[-|PIPE]", help="Samples from standard input or a named pipe instead.")
    ] = None,
    device: Device = None,
    channel: Channel = None,
    plain: Annotated[bool, typer.Option("--plain", help="Finished utterances only, one line each.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every event, one JSON object a line.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write also to this .txt, .srt, .vtt or .jsonl."),
    ] = None,
    save_audio: Annotated[
        Path | None, typer.Option(metavar="FILE.wav", help="Save the sound, exactly as the model hears it.")
    ] = None,
    endpoint_silence: Annotated[
        float, typer.Option(metavar="SECONDS", help="A pause so long ends an utterance.")
    ] = EndpointRules.after_speech_s,
    rate: Annotated[int, typer.Option(metavar="HZ", help="Sample rate of - or PIPE without a WAV header.")] = 16_000,
    pcm_format: Annotated[Literal["s16", "f32"], typer.Option("--format", help="Samples of - or PIPE.")] = "s16",
    channels: Annotated[int, typer.Option(min=1, metavar="N", help="Channels of - or PIPE.")] = 1,
    model: Model = None,
    lm: Lm = None,
    beam: Beam = None,
    lm_weight: LmWeight = None,
    word_bonus: WordBonus = None,
    hotword: HotwordList = None,
    phrases: Phrases = None,
    alternatives: Alternatives = None,
) -> None:
    """Show what is being said, until Ctrl-C. Nothing leaves this machine.

    On a terminal, the utterance under way grows on the last lines: what is bright will not change again. Into a pipe,
    and with --plain, finished utterances come one on a line. Ctrl-C, or the end of a pipe, finishes the last utterance
    and is no failure: the exit code is 0. It is 2 if the microphone goes away or cannot be used.

    \b
    Examples:
      rillet listen
      rillet listen --device usb --output notes.srt
      rillet listen --save-audio talk.wav | tee notes.txt
      arecord -f S16_LE -r 16000 | rillet listen -
    """
    if plain and as_json:
        raise typer.BadParameter("choose one of them.", param_hint="--plain and --json")
    if source is not None and device is not None:
        raise typer.BadParameter("a pipe and a microphone cannot be heard at once.", param_hint="--device")
    if alternatives and not as_json and not (output and output.suffix.lower() == ".jsonl"):
        raise typer.BadParameter("this needs --json or an --output that ends in .jsonl.", param_hint="--alternatives")
    endpoints = EndpointRules(after_speech_s=endpoint_silence)
    with quiet_endings():
        from .capture import LiveSource
        from .listen import Listener, open_display, open_output
        from .microphone import Microphone, find_device, quiet_libraries
        from .pcm_pipe import PcmPipe
        from .recogniser import Recognizer

        language = Language.of(lm, beam, lm_weight, word_bonus, hotword, phrases, alternatives)
        recogniser = Recognizer.load(model, **language.for_load)
        live: LiveSource = (
            Microphone(find_device(device), channel) if source is None else PcmPipe(source, rate, pcm_format, channels)
        )
        writer = open_output(output) if output else None

        def stop(number: int, _: object) -> None:
            signal.signal(number, signal.default_int_handler)  # whoever is impatient presses twice
            live.stop()

        with quiet_libraries(), live:
            signal.signal(signal.SIGINT, stop)
            signal.signal(signal.SIGTERM, stop)
            Listener(
                recogniser,
                live,
                open_display(plain=plain, as_json=as_json),
                endpoints=endpoints,
                channel=channel,
                writer=writer,
                save_audio=save_audio,
            ).run()


@app.command()
def devices() -> None:
    """List the microphones; the star marks the one that is used if none is named."""
    from .doctor import device_lines
    from .microphone import devices as all_devices
    from .microphone import quiet_libraries

    with quiet_libraries():
        known = all_devices()
    with quiet_endings():
        print("\n".join(device_lines(known)))


@app.command()
def doctor(device: Device = None, channel: Channel = None, model: Model = None) -> None:
    """Check the installation, the model, the microphone and the speed of this machine.

    The exit code is 2 if the model cannot be used, or a microphone that is there or was named cannot.
    """
    from .doctor import doctor as examine
    from .microphone import quiet_libraries

    with quiet_endings():
        with quiet_libraries():
            well = examine(model, device, channel, lambda line: print(line, flush=True))
        if not well:
            raise typer.Exit(BAD_INPUT)
