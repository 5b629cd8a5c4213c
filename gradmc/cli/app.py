"""The commands and their options. Each command imports what it needs only when it runs.

Everything here is shown by `--help`; nothing here may import JAX, numpy or pydantic.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from gradmc.cli.options import COMMON, Common, Overrides

EPILOGUE = (
    "Any entry of the configuration can be overridden: --SECTION.KEY VALUE, for example "
    "--sampler.draws 2000, or by an environment variable such as GRADMC_SAMPLER__DRAWS.\n\n"
    "Exit codes: 0 done; 1 a bug in gradmc; 2 usage or configuration; 3 the model failed its check or has "
    "no valid start; 4 diagnostics failed; 5 a run cannot be resumed or is locked; 75 stopped with a "
    "checkpoint, run gradmc resume."
)


type Display = Annotated[
    Literal["auto", "rich", "plain", "json", "none"],
    Parameter(help="How progress is shown, on standard error."),
]
type Flag = Annotated[bool, Parameter(negative="")]
type LeftOut = Annotated[
    tuple[int, ...], Parameter(name="--without-chain", help="Leave out the chain of this number; may be repeated.")
]
type Configuration = Annotated[Path, Parameter(help="Configuration of the run (TOML).")]
type Directory = Annotated[
    str, Parameter(help="Directory of a run, as written by `gradmc sample`, or its address (`s3://bucket/run`).")
]


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands, with the overrides of this command line."""

    overrides: Overrides

    def sample(
        self,
        config: Configuration,
        *,
        resume: Flag = False,
        force: Flag = False,
        strict: Flag = False,
        dry_run: Flag = False,
        distributed: Flag = False,
        coordinator: str | None = None,
        processes: int | None = None,
        process: int | None = None,
        progress: Display = "auto",
        common: Common = COMMON,
    ) -> int:
        """Draw from the posterior of a model.

        Compiles the model, runs the chains, streams the draws to the run directory, and prints a summary
        table with a verdict. Ctrl-C once stops in good order; `gradmc resume` goes on.

        Example: `gradmc sample models/eight_schools/run.toml --sampler.draws 2000`

        Args:
            resume: Go on with the run in the output directory, if there is one.
            force: Delete an earlier run in the output directory.
            strict: Exit with 4 if the diagnostics fail.
            dry_run: Check and compile everything, time one gradient, predict time, disk and memory, and draw
                nothing.
            distributed: Be one of several processes that share out the data along `sampler.shard`; the first one keeps
                the run. Under Slurm's srun the three options below need not be given.
            coordinator: Address and port of the first process, such as 10.0.0.1:9876.
            processes: How many processes there are.
            process: The number of this one, from 0.
        """
        from gradmc.cli.sampling import dry_run as predict_costs
        from gradmc.cli.sampling import sample

        if dry_run:
            return predict_costs(config, self.overrides, common)

        def run() -> int:
            return sample(
                config,
                self.overrides,
                resume=resume,
                force=force,
                strict=strict,
                progress=progress,
                common=common,
            )

        if distributed:
            from gradmc.cli.distributed import ProcessGroup, sample_distributed

            return sample_distributed(config, self.overrides, ProcessGroup(coordinator, processes, process), run)
        return run()

    def sample_many(self, config: Configuration, *, progress: Display = "auto", common: Common = COMMON) -> int:
        """Draw from the posterior of a model for each of many data sets.

        The table [many] says which: `files = "data/*.json"`, `by = "site"` (a column of data.file), or `sets`, a table
        of files. Fits go to the output directory one by one, and as one store with a leading dimension; those that are
        there already are not made again. The table [cluster] has them made by Dask. Exits with 4 if a data set could
        not be fitted.

        Example: `gradmc sample-many run.toml --many.files 'data/*.json' --cluster.workers 8`
        """
        from gradmc.cli.sampling_many import sample_many

        return sample_many(config, self.overrides, progress=progress, common=common)

    def check(
        self, config: Configuration, *, fast: Flag = False, seconds: float = 20.0, common: Common = COMMON
    ) -> int:
        """Check a model before sampling: differentiable, finite, right support, well posed.

        Exits with 3 if there is an error.

        Example: `gradmc check models/eight_schools/run.toml --fast`

        Args:
            fast: Leave out what needs the mode or more than one compilation.
            seconds: Of the processor, that the checks may take; what there was no time for is named.
        """
        from gradmc.cli.checking import check

        return check(config, self.overrides, fast=fast, seconds=seconds, common=common)

    def resume(
        self,
        directory: Directory,
        *,
        strict: Flag = False,
        progress: Display = "auto",
        common: Common = COMMON,
    ) -> int:
        """Go on with a run that was stopped or killed.

        The finished run is the same, bit for bit, as one that was never interrupted.

        Example: `gradmc resume runs/eight_schools`

        Args:
            strict: Exit with 4 if the diagnostics fail.
        """
        from gradmc.cli.sampling import resume

        return resume(directory, extra_draws=0, strict=strict, progress=progress, common=common)

    def extend(
        self,
        directory: Directory,
        *,
        draws: int,
        strict: Flag = False,
        progress: Display = "auto",
        common: Common = COMMON,
    ) -> int:
        """Add draws to a run, as if they had been asked for from the start.

        Example: `gradmc extend runs/eight_schools --draws 1000`

        Args:
            draws: Draws to add to each chain.
            strict: Exit with 4 if the diagnostics fail.
        """
        from gradmc.cli.sampling import resume

        return resume(directory, extra_draws=draws, strict=strict, progress=progress, common=common)

    def summary(
        self,
        directory: Directory,
        *,
        variables: Annotated[tuple[str, ...], Parameter(name=["--variables", "-v"])] = (),
        every: Annotated[bool, Parameter(name="--all", negative="")] = False,
        without_chain: LeftOut = (),
        common: Common = COMMON,
    ) -> int:
        """Print the summary table of a run, and the verdict.

        Works while the run goes on, too. Mean, standard deviation, 89 % interval, effective sample sizes,
        R-hat and Monte Carlo standard errors are ArviZ's.

        Example: `gradmc summary runs/eight_schools -v mu -v tau`

        Args:
            variables: Show only these variables; may be repeated, and may be patterns such as `theta*`.
            every: Show all rows of a long table.
        """
        from gradmc.cli.reporting import summary

        return summary(directory, variables=variables, show_all=every, without=without_chain, common=common)

    def diagnose(self, directory: Directory, *, without_chain: LeftOut = (), common: Common = COMMON) -> int:
        """Check the draws of a run; exits with 4 if they cannot be trusted.

        R-hat at most 1.01, at least 100 effective draws per chain, no divergences, BFMI at least 0.3, no
        saturated trees, and an acceptance not far below `target_accept`.

        Example: `gradmc diagnose runs/eight_schools --json`
        """
        from gradmc.cli.reporting import diagnose

        return diagnose(directory, without=without_chain, common=common)

    def status(self, directory: Directory, *, common: Common = COMMON) -> int:
        """Show where a run stands: running or not, and what each chain does.

        Example: `gradmc status runs/eight_schools`
        """
        from gradmc.cli.inspecting import status

        return status(directory, common=common)

    def export(
        self,
        directory: Directory,
        file: Annotated[str, Parameter(help="File that ends in .nc, .zarr, .csv or .parquet, or its address.")],
        *,
        group: Annotated[tuple[str, ...], Parameter(name=["--group", "-g"])] = (),
        without_chain: LeftOut = (),
        force: Flag = False,
        common: Common = COMMON,
    ) -> int:
        """Write the draws of a run to a file: NetCDF, Zarr, CSV or Parquet.

        NetCDF and Zarr hold everything. Tables have a row for each draw and a column for each scalar quantity.

        Example: `gradmc export runs/eight_schools draws.csv -g posterior -g sample_stats`

        Args:
            group: Groups that become columns of a table; may be repeated. The posterior by default.
            force: Overwrite an existing file.
        """
        from gradmc.cli.inspecting import export

        return export(directory, file, groups=group, without=without_chain, force=force, common=common)

    def report(
        self,
        directory: Directory,
        file: Annotated[Path | None, Parameter(help="File to write; report.html in the run by default.")] = None,
        *,
        calibration: Annotated[Path | None, Parameter(help="What `gradmc calibrate --json` printed.")] = None,
        without_chain: LeftOut = (),
        force: Flag = False,
        common: Common = COMMON,
    ) -> int:
        """Write one self-contained HTML page about a run.

        Verdict and advice, summary table, plots of the worst quantities, divergences, predictions, LOO, prior
        sensitivity, how the chains started, versions and hashes.

        Example: `gradmc report runs/eight_schools`

        Args:
            force: Overwrite an existing file; the one in the run is always written anew.
        """
        from gradmc.cli.reporting import report

        return report(directory, file, calibration=calibration, without=without_chain, force=force, common=common)

    def predict(self, directory: Directory, *, seed: int | None = None, common: Common = COMMON) -> int:
        """Simulate new data for each draw, with the model's simulator.

        The predictions are stored beside the draws, in the group `posterior_predictive`.

        Example: `gradmc predict runs/eight_schools`

        Args:
            seed: Seed of the simulations; that of the run by default.
        """
        from gradmc.cli.predicting import predict

        return predict(directory, seed=seed, common=common)

    def optimize(
        self,
        config: Configuration,
        *,
        restarts: int = 5,
        jacobian: Flag = False,
        draws: int = 0,
        resume: Flag = False,
        progress: Display = "auto",
        common: Common = COMMON,
    ) -> int:
        """Find the posterior mode by L-BFGS, or by a method of Optax with batches of the data ([optimize]).

        Exits with 3 if the density has no maximum.

        Example: `gradmc optimize run.toml --optimize.method adam --optimize.epochs 5000`

        Args:
            restarts: Searches from different random starts.
            jacobian: Take the mode on the unconstrained scale, Jacobian included.
            draws: Draw so often from the normal (Laplace) approximation, and add its mean, standard deviation
                and interval; implies --jacobian.
            resume: Go on with the descent in the directory `optimize.dir`, if there is one.
        """
        from gradmc.cli.optimizing import Asked, optimize

        asked = Asked(restarts=restarts, jacobian=jacobian, draws=draws, resume=resume, progress=progress)
        return optimize(config, self.overrides, asked, common=common)

    def calibrate(
        self,
        config: Configuration,
        *,
        replications: int = 200,
        ranked: int = 63,
        warmup: int = 400,
        common: Common = COMMON,
    ) -> int:
        """Check by simulation that program, simulator and sampler agree; exits with 4 if they do not.

        Draws parameters from the prior, simulates data with them, samples the posterior of these data, and
        ranks the parameters among the draws: the ranks must be uniform.

        Example: `gradmc calibrate models/eight_schools/run.toml --replications 100`

        Args:
            replications: Data sets to simulate and fit.
            ranked: Posterior draws per data set that the true value is ranked among.
            warmup: Warmup transitions per data set.
        """
        from gradmc.cli.calibrating import calibrate

        return calibrate(config, self.overrides, replications=replications, ranked=ranked, warmup=warmup, common=common)

    def completion(self, shell: Literal["bash", "zsh", "fish"], *, common: Common = COMMON) -> int:
        """Print a script that completes commands and options in a shell.

        Example: `gradmc completion bash > ~/.local/share/bash-completion/completions/gradmc`

        Args:
            shell: Which shell.
        """
        from gradmc.cli.output import emit

        script = build_app(self.overrides).generate_completion(prog_name="gradmc", shell=shell)
        emit(script, {"shell": shell, "script": script}, as_json=common.json)
        return 0

    def doctor(self, *, common: Common = COMMON) -> int:
        """Check the installation: versions, devices, the sampling loop, the compilation cache, disk.

        Example: `gradmc doctor`
        """
        from gradmc.cli.doctor import doctor

        return doctor(common=common)

    def config_show(self, config: Configuration, *, common: Common = COMMON) -> int:
        """Print every value of a configuration and where it comes from.

        Example: `gradmc config show run.toml --sampler.draws 2000`
        """
        from gradmc.cli.configuration import show

        return show(config, self.overrides, common=common)

    def config_init(
        self,
        file: Annotated[Path, Parameter(help="File to write.")] = Path("run.toml"),
        *,
        target: str = "model.py:NAME",
        force: Flag = False,
        common: Common = COMMON,
    ) -> int:
        """Write a configuration file with every key explained.

        Example: `gradmc config init run.toml --target model.py:eight_schools`

        Args:
            target: File and name of the model.
            force: Overwrite an existing file.
        """
        from gradmc.cli.configuration import init

        return init(file, target=target, force=force, common=common)

    def config_schema(self, *, common: Common = COMMON) -> int:
        """Print the JSON schema of the configuration, for editors.

        Example: `gradmc config schema > gradmc.schema.json`
        """
        from gradmc.cli.configuration import schema

        return schema(common=common)


def build_app(overrides: Overrides) -> App:
    """The command line with all its commands."""
    app = App(
        name="gradmc",
        help="Draw from posteriors written as plain Python functions, and judge the draws.",
        help_epilogue=EPILOGUE,
        version=_version,
        help_format="plaintext",  # the parser of Markdown would be half of the time that the list of commands takes
        suppress_keyboard_interrupt=False,  # else cyclopts makes a SystemExit of it, as if a program had raised one
    )
    commands = Commands(overrides)
    for command in (
        commands.sample,
        commands.sample_many,
        commands.check,
        commands.resume,
        commands.extend,
        commands.summary,
        commands.diagnose,
        commands.report,
        commands.status,
        commands.export,
        commands.predict,
        commands.optimize,
        commands.calibrate,
        commands.doctor,
        commands.completion,
    ):
        app.command(command, help_format="markdown")
    config = App(name="config", help="Show, write and describe configurations.", help_format="markdown")
    config.command(commands.config_show, name="show")
    config.command(commands.config_init, name="init")
    config.command(commands.config_schema, name="schema")
    app.command(config)
    return app


def _version() -> str:
    from importlib.metadata import version

    return version("gradmc")
