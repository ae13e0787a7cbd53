"""What agents report about rollouts, and how it is joined with captured model calls (CONTRACT 5.9)."""

from nemo_gym.compat.observation_models import AgentEpisode as AgentEpisode
from nemo_gym.compat.observation_models import AgentInvocation as AgentInvocation
from nemo_gym.compat.observation_models import AgentObservationBundle as AgentObservationBundle
from nemo_gym.compat.observation_models import ContextCompactionObservation as ContextCompactionObservation
from nemo_gym.compat.observation_models import ModelCallRef as ModelCallRef
from nemo_gym.compat.observation_models import ObservationGap as ObservationGap
from nemo_gym.compat.observation_models import SandboxObservation as SandboxObservation
from nemo_gym.compat.observation_models import ToolCallObservation as ToolCallObservation
from nemo_gym.compat.observation_models import TrajectoryModelCall as TrajectoryModelCall
from nemo_gym.compat.observation_models import TrajectoryRecord as TrajectoryRecord
from nemo_gym.compat.observation_models import TrajectoryResponseMetadata as TrajectoryResponseMetadata
from nemo_gym.compat.observation_models import TrajectoryTokenStats as TrajectoryTokenStats
from nemo_gym.compat.observation_models import TrajectoryToolCall as TrajectoryToolCall
from nemo_gym.compat.observation_models import TrajectoryTurn as TrajectoryTurn
from nemo_gym.compat.trajectory_records import join_model_call_observations as join_model_call_observations
